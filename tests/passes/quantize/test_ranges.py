"""Scales that follow training, and batch norms that no longer do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.ops.control import Mode
from architrave.passes import Transformed, apply
from architrave.passes.quantize.rounding.sites import activation_sites, weight_sites
from architrave.testing import assert_backends_agree

NETWORK = """
from std.conv import conv2d
from std.linear import linear
from std.norm import batch_norm

model Net()(image: [N, 2, 4, 4]) -> [N, 5] {
    x = image -> conv: conv2d(8, 3) -> bn: batch_norm -> relu
    return x -> flatten -> head: linear(5)
}
"""
IMAGES = np.random.default_rng(0).normal(size=(6, 2, 4, 4))


def rounded(options: str = "{bits=4 act=4}") -> Transformed:
    return apply(architrave.loads(NETWORK), f"quantize{options}")


def weights(made: Transformed) -> dict[str, Any]:
    """The first weights, with a range for the image."""
    new = made.weights(architrave.init(architrave.loads(NETWORK)))
    return {**new, "conv.image_scale": np.float32(0.5)}


def moved(graph: Graph, held: dict[str, Any], *, training: bool) -> dict[str, Any]:
    """What the states become."""
    return dict(interpret(graph, [IMAGES], held, training=training).updates)


def test_lsq_weighs_gradients_by_how_many_numbers_there_are() -> None:
    made = apply(rounded().graph, "ranges").graph
    gains = {site.scale: site.op.gain for site in (*weight_sites(made), *activation_sites(made))}
    assert gains == pytest.approx(
        {
            "conv.weight_scale": 1 / np.sqrt(18 * 7),
            "conv.image_scale": 1 / np.sqrt(32 * 7),
            "head.weight_scale": 1 / np.sqrt(128 * 7),
            "head.x_scale": 1 / np.sqrt(128 * 7),
        }
    )


def test_clipping_is_for_activations() -> None:
    made = apply(rounded().graph, "ranges{by=clipping}").graph
    assert all(site.op.clipped_only for site in activation_sites(made))
    assert not any(site.op.clipped_only for site in weight_sites(made))


@pytest.mark.parametrize("by", ["lsq", "clipping", "average"])
def test_forward_and_in_inference_nothing_changes(by: str) -> None:
    before = rounded()
    made = apply(before.graph, f"ranges{{by={by}}}")
    held = weights(before)
    for training in (True, False):
        (a,) = interpret(before.graph, [IMAGES], held, training=training).outputs
        (b,) = interpret(made.graph, [IMAGES], made.weights(held), training=training).outputs
        np.testing.assert_array_equal(a, b)
    cleaned = apply(made.graph, "inference,clean").graph
    assert {w.op.path for w in cleaned.weights} <= set(held)  # type: ignore[union-attr]
    assert not cleaned.updates


def test_an_average_moves_to_what_a_batch_spans() -> None:
    made = apply(rounded().graph, "ranges{by=average momentum=0.75 only=conv}")
    held = made.weights(weights(rounded()))
    assert (held["conv.image_low"], held["conv.image_high"]) == (-4.0, 3.5)
    new = moved(made.graph, held, training=True)
    low, high = 0.75 * -4 + 0.25 * IMAGES.min(), 0.75 * 3.5 + 0.25 * IMAGES.max()
    scale = (high - low) / 15
    assert (new["conv.image_low"], new["conv.image_high"]) == pytest.approx((low, high))
    assert new["conv.image_scale"] == pytest.approx(scale)
    assert new["conv.image_zero"] == round(-8 - low / scale)
    assert moved(made.graph, held, training=False)["conv.image_scale"] == np.float32(0.5)
    assert "head.x_scale" not in new


def test_an_average_without_a_zero_point_needs_no_more_states() -> None:
    made = apply(rounded("{bits=4 act=4 symmetric=true}").graph, "ranges{by=average momentum=0.5}")
    held = made.weights(weights(rounded("{bits=4 act=4 symmetric=true}")))
    new = moved(made.graph, held, training=True)
    assert new["conv.image_scale"] == pytest.approx(0.25 + np.abs(IMAGES).max() / 14)
    assert not {path for path in held if path.endswith(("_low", "_high"))}


def test_what_is_zero_everywhere_keeps_its_scale() -> None:
    made = apply(rounded("{symmetric=true}").graph, "ranges{by=average momentum=0.0 only=conv}")
    held = made.weights(weights(rounded("{symmetric=true}")))
    assert interpret(made.graph, [0 * IMAGES], held, training=True).updates["conv.image_scale"] == np.float32(0.5)


def test_batch_norms_are_frozen() -> None:
    graph = architrave.loads(NETWORK)
    held = architrave.init(graph)
    held["bn.running_mean"] += 0.25
    frozen = apply(graph, "freeze-norm").graph
    assert not frozen.updates
    assert not any(isinstance(node.op, Mode) for node in frozen.nodes)
    (a,) = interpret(frozen, [IMAGES], held, training=True).outputs
    (b,) = interpret(graph, [IMAGES], held, training=False).outputs
    np.testing.assert_array_equal(a, b)


def test_batch_norms_are_frozen_after_some_steps() -> None:
    graph = architrave.loads(NETWORK)
    made = apply(graph, "freeze-norm{after=2}")
    held = made.weights(architrave.init(graph))
    for step in range(4):
        like = interpret(graph, [IMAGES], {p: held[p] for p in architrave.init(graph)}, training=step < 2)
        found = interpret(made.graph, [IMAGES], held, training=True)
        np.testing.assert_array_equal(found.outputs[0], like.outputs[0])
        held |= found.updates
        assert held["norm_steps"] == step + 1
        np.testing.assert_array_equal(
            held["bn.running_mean"], like.updates.get("bn.running_mean", held["bn.running_mean"])
        )


def test_a_network_without_batch_norms_stays() -> None:
    graph = architrave.loads("model M()(x: [N, 4]) { param w: [3, 4] = ones\n return op.linear(x, w) }")
    assert apply(graph, "freeze-norm{after=3}").graph == graph


def test_all_backends_train_so() -> None:
    made = apply(rounded().graph, "ranges,ranges{by=average only=conv},freeze-norm{after=1}")
    assert_backends_agree(made.graph, dtypes=["float64"])
