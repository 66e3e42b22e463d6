"""Chua, Pan and Jain, "Post-Training Statistical Calibration for Higher Activation Sparsity" (SCAP, 2024)."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.sparsify.scap import scap_sites
from architrave.record import Histogram
from architrave.sparsity.activations.scap import mode, scap

TEXT = """
from std.linear import linear

model Gated()(x: [N, T, 16]) -> [N, T, 16] {
    h = (x -> gate: linear(40, bias = false) -> silu) * (x -> up: linear(40))
    return x + (h -> down: linear(16))
}
"""


def network() -> tuple[Graph, dict, list]:
    graph = architrave.loads(TEXT)
    batches = [(np.random.default_rng(i).standard_normal((2, 5, 16)).astype(np.float32) + 0.7,) for i in range(3)]
    return graph, architrave.init(graph), batches


def masked_shares(graph: Graph, weights: dict, batches: list) -> list[float]:
    """The share of zeros of each centred input, when those before it are whole."""
    whole = {**weights, **{s.threshold: np.zeros((), np.float32) for s in scap_sites(graph)}}
    found = []
    for site in scap_sites(graph):
        distance = site.node.operands[0].node.operands[0]
        inner = build.graph("inner", graph.inputs, [distance])
        run, held = architrave.compile(inner, backend="numpy"), {path: whole[path] for path in names(inner)}
        distances = np.concatenate([run(held, *batch).ravel() for batch in batches])
        found.append(float((distances < weights[site.threshold]).mean()))
    return found


def names(graph: Graph) -> set[str]:
    return {w.op.path for w in graph.weights}


def test_at_threshold_zero_it_is_the_network_as_it_was_for_any_centre():
    graph, weights, batches = network()
    made = apply(graph, "inference,scap,hoist")
    assert made.keeps.name == "LOSSY"
    before = architrave.compile(graph, backend="numpy")(weights, *batches[0])
    centred = apply(graph, "inference,scap")
    for centre in (0.0, 0.3, -4.0):
        new = centred.weights(weights)
        new |= {site.mode: np.float32(centre) for site in scap_sites(centred.graph)}
        folded = apply(centred.graph, "hoist")
        after = architrave.compile(folded.graph, backend="numpy")(folded.weights(new), *batches[0])
        assert np.abs(after - before).max() < 1e-5


def test_layers_share_the_numbers_of_their_input():
    graph, _, _ = network()
    centred = apply(graph, "scap").graph
    assert [(s.mode, s.threshold) for s in scap_sites(centred)] == [
        ("gate.x_mode", "gate.x_threshold"),
        ("down.x_mode", "down.x_threshold"),
    ]
    assert names(apply(centred, "hoist").graph) == {*names(centred), "gate.bias"}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.73, 1.0])
def test_the_share_of_zeros_on_the_examples_is_the_one_asked_for(share):
    graph, weights, batches = network()
    made = apply(graph, "inference,scap")
    new = scap(made.graph, made.weights(weights), batches, share)
    counts = [3 * 2 * 5 * 16, 3 * 2 * 5 * 40]
    for found, count in zip(masked_shares(made.graph, new, batches), counts, strict=True):
        assert abs(found - share) <= 1 / count


@pytest.mark.parametrize(("share", "left"), [(0.4, 0.5), (0.2, 1.0)])
def test_equal_inputs_go_together(share, left):
    graph = architrave.loads("from std.linear import linear\nmodel M()(x: [N, 16]) -> [N, 4] = x -> fc: linear(4)")
    x = np.random.default_rng(0).uniform(1, 2, (50, 16)).astype(np.float32)
    x[:, ::2] = -0.37
    made = apply(graph, "scap")
    new = scap(made.graph, made.weights(architrave.init(graph)), [(x,)], share)
    assert (np.abs(x - new["fc.x_mode"]) >= new["fc.x_threshold"]).mean() == left


def test_kinds_of_inputs_have_shares_of_their_own():
    graph, weights, batches = network()
    made = apply(graph, "inference,scap")
    new = scap(made.graph, made.weights(weights), batches, {"down": 0.8, "*": 0.25})
    assert masked_shares(made.graph, new, batches) == pytest.approx([0.25, 0.8], abs=1 / 480)
    alone = scap(made.graph, made.weights(weights), batches, {"down": 0.8})
    assert alone["gate.x_threshold"] == 0
    assert alone["down.x_threshold"] == new["down.x_threshold"]


@pytest.mark.parametrize("peak", [-0.25, 0.8])
def test_the_mode_is_where_numbers_are_dense(peak):
    rng = np.random.default_rng(0)
    seen = Histogram()
    seen.add(np.concatenate([rng.normal(peak, 0.05, 5000), rng.normal(0, 1.0, 3000)]))
    assert mode(seen) == pytest.approx(peak, abs=0.02)


def test_many_zeros_are_a_mode_of_zero():
    seen = Histogram()
    seen.add(np.maximum(np.random.default_rng(0).standard_normal(4000), 0))
    assert mode(seen) == 0.0


def test_centred_inputs_are_sparser_at_the_same_threshold_where_the_peak_is_not_at_0():
    graph = architrave.loads("from std.linear import linear\nmodel M()(x: [N, 16]) -> [N, 4] = x -> fc: linear(4)")
    x = np.random.default_rng(0).normal(-0.6, 0.3, (200, 16)).astype(np.float32)
    made = apply(graph, "scap")
    new = scap(made.graph, made.weights(architrave.init(graph)), [(x,)], 0.5)
    threshold = new["fc.x_threshold"]
    assert (np.abs(x - new["fc.x_mode"]) < threshold).mean() > 2 * (np.abs(x) < threshold).mean()
    uncentred = scap(made.graph, new, [(x,)], 0.5, centre=False)
    assert uncentred["fc.x_mode"] == 0
    assert uncentred["fc.x_threshold"] > threshold


def test_the_product_skips_what_is_0():
    graph, weights, batches = network()
    made = apply(graph, "inference,scap")
    new = scap(made.graph, made.weights(weights), batches, 0.7)
    final = apply(made.graph, "skip-zeros,hoist")
    assert sum(node.op.name == "active_rows" for node in final.graph.nodes) == 3
    token = batches[0][0][:1, :1]
    whole = architrave.compile(made.graph, backend="numpy")(new, token)
    for backend in ("numpy", "torch"):
        skipped = architrave.compile(final.graph, backend=backend)(final.weights(new), token)
        assert np.abs(skipped - whole).max() < 1e-5


def test_what_cannot_be_is_refused():
    graph, weights, batches = network()
    made = apply(graph, "inference,scap")
    new = made.weights(weights)
    cases = [
        ("E943", lambda: scap(made.graph, new, batches, 1.5)),
        ("E943", lambda: scap(graph, weights, batches, 0.5)),
        ("E943", lambda: scap(made.graph, new, [(batches[0][0] * np.nan,)], 0.5)),
        ("E912", lambda: scap(made.graph, new, [], 0.5)),
        ("E805", lambda: scap(made.graph, new, batches, {"op:nothing": 0.5})),
    ]
    for code, attempt in cases:
        with pytest.raises(ArchitraveError, match=code):
            attempt()
