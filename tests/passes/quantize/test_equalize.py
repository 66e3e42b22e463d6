"""Channels are scaled between weights: the network stays the same function, and ranges become like one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.journal import Declined
from architrave.passes.quantize.weights.links import links
from tests.stdlib.small import SMALL

NETWORK = """
from std.conv import conv2d, global_avg_pool, max_pool
from std.linear import linear

model Net()(image: [N, 3, 8, 8]) -> [N, 5] {
    x = image -> stem: conv2d(16, 3) -> relu
    y = x -> depthwise: conv2d(16, 3, groups = 16) -> relu
    y = y -> grouped: conv2d(16, 3, groups = 4) -> leaky_relu(0.1) -> max_pool(2)
    z = y -> one: conv2d(16, 1) -> relu
    w = (y -> left: conv2d(12, 3)) + (z -> right: conv2d(12, 1)) -> relu
    return w -> global_avg_pool -> mid: linear(32) -> relu -> head: linear(5)
}
"""


def unequal(graph: Any) -> dict[str, Any]:
    """Weights whose channels have ranges that differ a thousandfold."""
    rng: Any = np.random.default_rng(0)
    weights = {path: w.astype(np.float64) for path, w in architrave.init(graph).items()}
    for path, w in weights.items():
        if path.endswith("weight"):
            w *= np.exp(rng.normal(size=(len(w), *(1,) * (w.ndim - 1))) * 1.5)
    return weights


def ranges(weight: Any, axis: int) -> Any:
    return np.abs(weight).max(axis=tuple(i for i in range(weight.ndim) if i != axis))


def test_pairs_have_the_same_ranges_and_the_function_stays() -> None:
    graph = apply(architrave.loads(NETWORK), "inference,clean").graph
    weights = unequal(graph)
    made = apply(graph, "equalize{rounds=40}")
    new = made.weights(weights, np.float64)
    x = np.random.default_rng(1).normal(size=(3, 3, 8, 8))
    program = architrave.compile(graph, "numpy")
    np.testing.assert_allclose(program(new, x), program(weights, x), rtol=1e-9, atol=1e-9)
    pairs = [("stem", "depthwise", 0), ("one", "right", 1), ("mid", "head", 1)]
    for before, after, axis in pairs:
        np.testing.assert_allclose(ranges(new[f"{before}.weight"], 0), ranges(new[f"{after}.weight"], axis), rtol=1e-4)
    both = np.maximum(ranges(new["left.weight"], 0), ranges(new["right.weight"], 0))
    np.testing.assert_allclose(both, ranges(new["mid.weight"], 1), rtol=1e-4)
    assert any(not np.allclose(new[path], weights[path]) for path in weights)
    assert str(made.keeps) == "exact"


def test_eight_bits_for_a_whole_tensor_suffice_afterwards() -> None:
    graph = apply(architrave.loads(NETWORK), "inference,clean").graph
    weights = unequal(graph)
    x = np.random.default_rng(1).normal(size=(3, 3, 8, 8))
    exact = architrave.compile(graph, "numpy")(weights, x)
    errors: list[float] = []
    for pipeline in ("quantize{granularity=tensor act=0}", "equalize,quantize{granularity=tensor act=0}"):
        made = apply(graph, pipeline)
        errors.append(float(np.mean((architrave.compile(made.graph, "numpy")(made.weights(weights), x) - exact) ** 2)))
    assert errors[1] < 0.6 * errors[0]


def test_a_layer_that_makes_and_reads_the_same_channels() -> None:
    text = """
from std.linear import linear
model Net()(x: [N, 4]) -> [N, 3] {
    y = x -> up: linear(6) -> relu
    y = y + (y -> inner: linear(6) -> relu)
    return y -> head: linear(3)
}
"""
    graph = architrave.loads(text)
    weights = unequal(graph)
    new = apply(graph, "equalize").weights(weights, np.float64)
    x, program = np.random.default_rng(0).normal(size=(5, 4)), architrave.compile(graph, "numpy")
    np.testing.assert_allclose(program(new, x), program(weights, x), rtol=1e-9, atol=1e-9)
    assert not np.allclose(new["inner.weight"], weights["inner.weight"])


def test_a_channel_of_zeros_stays() -> None:
    graph = apply(architrave.loads(NETWORK), "inference,clean").graph
    weights = unequal(graph)
    weights["stem.weight"][2] = 0
    weights["head.weight"][:, 4] = 0
    new = apply(graph, "equalize").weights(weights)
    assert all(np.isfinite(w).all() for w in new.values())
    assert not new["stem.weight"][2].any()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("x -> a: linear(4) -> gelu -> b: linear(4)", "`gelu` lies between"),
        ("x -> b: linear(4)", "`input` lies between"),
        ("(x -> a: linear(4) -> relu) + 1.0 -> b: linear(4)", "`add` lies between"),
    ],
)
def test_what_cannot_be_scaled_says_why(body: str, reason: str) -> None:
    text = f"from std.linear import linear\nmodel Net()(x: [N, 4]) -> [N, 4] = {body}"
    found = [link for link in links(architrave.loads(text)) if isinstance(link, Declined)]
    assert any(reason in link.reason for link in found)


def test_rounds_that_cannot_be_had() -> None:
    with pytest.raises(ArchitraveError) as caught:
        apply(architrave.loads(NETWORK), "inference,equalize{rounds=0}")
    assert caught.value.diagnostics[0].code == "E803"


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_network_keeps_its_weights(name: str) -> None:
    graph = apply(architrave.load(name, **SMALL[name]), "deploy").graph
    weights = architrave.init(graph)
    new = apply(graph, "equalize{rounds=1}").weights(weights)
    assert {path: w.shape for path, w in new.items()} == {path: w.shape for path, w in weights.items()}


@pytest.mark.parametrize("name", ["ResNet18", "ResNet50", "MobileOneS0", "RepVGGA0", "VGG16"])
def test_networks_of_convolutions_stay_the_same_function(name: str) -> None:
    graph = apply(architrave.load(name, **SMALL[name]), "deploy").graph
    weights = unequal(graph)
    new = apply(graph, "equalize{rounds=2}").weights(weights, np.float64)
    assert sum(not np.allclose(new[path], weights[path]) for path in weights) > len(weights) / 3
    shape = [size if isinstance(size, int) else 32 for size in graph.inputs[0].shape]
    x = np.random.default_rng(0).normal(size=(2, *shape[1:]))
    program = architrave.compile(graph, "numpy")
    y = program(weights, x)
    np.testing.assert_allclose(program(new, x), y, atol=1e-9 * np.abs(y).max())
