"""Scales go through what rearranges elements, to the dense map before or behind it."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.cost import parameters
from architrave.ir.interpret import interpret
from architrave.passes import Select, apply

IMPORTS = """
from std.conv import avg_pool, conv2d
from std.linear import linear
from std.norm import batch_norm
"""
CASES = {
    "batch norm, flattened": ("x -> batch_norm -> flatten -> linear(2)", "x: [N, 3, 2, 2]", 12 * 2 + 2),
    "batch norm of rows": ("x -> reshape([-1, 3]) -> batch_norm -> reshape([N, T, 3]) -> linear(2)", "x: [N, T, 3]", 8),
    "batch norm of channels last": (
        'x -> rearrange("n t c -> n c t") -> batch_norm -> rearrange("n c t -> n t c") -> linear(2)',
        "x: [N, T, 3]",
        8,
    ),
    "into the layer before": (
        "x -> linear(2) -> reshape([-1, 2]) -> batch_norm -> reshape([N, T, 2])",
        "x: [N, T, 3]",
        8,
    ),
    "into the layer before, transposed": (
        'x -> linear(2) -> rearrange("n t c -> n c t") -> batch_norm',
        "x: [N, T, 3]",
        8,
    ),
    "channels of heads": (
        'x -> linear(6) -> rearrange("n t (h d) -> n h t d", h = 2) -> batch_norm',
        "x: [N, T, 3]",
        24,
    ),
    "heads in the convolution's channels": (
        "x -> conv2d(4, 1) -> reshape([N, 2, 2, 5]) -> batch_norm",
        "x: [N, 3, 5, 1]",
        16,
    ),
    "two users": (
        "x -> (y) => reshape(batch_norm(y), [N, 12]) -> (z) => linear(2)(z) + linear(2)(z)",
        "x: [N, 3, 2, 2]",
        12 * 2 + 2,
    ),
    "a number": ('0.5 * (x -> linear(6)) -> rearrange("n t (h d) -> n h t d", h = 2)', "x: [N, T, 3]", 24),
    "channels torn apart": ("x -> batch_norm -> reshape([N, 2, 6]) -> linear(2)", "x: [N, 4, 3]", 22),
}


@pytest.mark.parametrize("name", CASES)
def test_a_scale_goes_through(name: str) -> None:
    body, inputs, left = CASES[name]
    graph = architrave.loads(f"{IMPORTS}\nmodel M()({inputs}) = {body}\n")
    rng = np.random.default_rng(0)
    weights = {path: rng.uniform(0.5, 2.0, array.shape) for path, array in architrave.init(graph).items()}
    deployed = apply(graph, "deploy")
    x = rng.normal(size=[{"N": 2, "T": 5}.get(str(size), size) for size in graph.inputs[0].shape])
    expected, found = (
        interpret(g, [x], w).outputs[0] for g, w in ((graph, weights), (deployed.graph, deployed.weights(weights)))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert parameters(deployed.graph) == left


def test_what_is_kept_is_not_taken_in() -> None:
    graph = architrave.loads(
        f"{IMPORTS}\nmodel M()(x: [N, 3, 4, 4]) {{\n @keep\n y = x -> conv2d(2, 3)\n return y -> batch_norm\n}}"
    )
    assert {"conv", "batch_norm"} <= {node.op.name for node in apply(graph, "inference,reparam").graph.nodes}


PREDICATES = {
    "is:depthwise": ["b"],
    "is:pointwise": ["c", "d"],
    "is:padded&!is:grouped": ["a"],
    "is:strided|is:grouped": ["b", "d"],
    "is:weighted&op:conv": ["a", "b", "c", "d"],
}


@pytest.mark.parametrize("text", PREDICATES)
def test_nodes_are_chosen_by_what_holds_of_them(text: str) -> None:
    body = "x -> a: conv2d(4, 3) -> b: conv2d(4, 3, groups = 4) -> c: conv2d(2, 1) -> d: conv2d(2, 1, stride = 2)"
    graph = architrave.loads(f"{IMPORTS}\nmodel M()(x: [N, 3, 8, 8]) = {body}\n")
    chosen = [str(node.place) for node in graph.nodes if Select.parse(text).matches(node)]
    assert chosen == PREDICATES[text]
