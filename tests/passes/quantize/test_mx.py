"""The pass `mx`: contractions of numbers in groups that share a power of two."""

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.interpret import interpret
from architrave.ir.ops.microscaling import RoundMx
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.quantize.size import size

HEADER = """
from std.attention import self_attention
from std.conv import conv2d
from std.linear import linear
"""
MODELS = {
    "linear": "model M()(x: [N, 64]) -> [N, 4] = x -> fc: linear(4)",
    "conv": "model M()(x: [N, 32, 5, 5]) -> [N, 4, 5, 5] = x -> conv: conv2d(4)",
    "heads": "model M()(x: [N, 32, 64]) -> [N, 32, 64] = x -> heads: self_attention(2)",
    "columns": "model M()(x: [N, 5, 64], y: [N, 64, 3]) -> [N, 5, 3] = x @ y",
    "einsum": 'model M()(x: [N, 64, 5], y: [N, 3, 64]) -> [N, 5, 3] = einsum(x, y, "n k i, n j k -> n i j")',
}


def rounded(name: str, options: str = "") -> list[tuple[tuple[Any, ...], int, str]]:
    """The shape, axis and format of everything that the pass rounds."""
    graph = apply(architrave.loads(HEADER + MODELS[name]), f"mx{options}").graph
    nodes = [node for node in graph.nodes if isinstance(node.op, RoundMx)]
    return [(node.operands[0].shape[1:], node.op.axis, node.op.format) for node in nodes]


def test_groups_lie_along_what_is_summed() -> None:
    assert rounded("linear") == [((64,), -1, "e4m3")] * 2
    assert rounded("conv") == [((32, 5, 5), 1, "e4m3"), ((32, 3, 3), 1, "e4m3")]
    assert rounded("columns") == [((5, 64), -1, "e4m3"), ((64, 3), -2, "e4m3")]
    assert sorted(rounded("einsum")) == [((3, 64), 2, "e4m3"), ((64, 5), 1, "e4m3")]
    assert len(rounded("heads")) == 4 + 2 + 4  # of four layers, with two inputs among them, and two products


def test_weights_and_activations_have_formats_of_their_own() -> None:
    assert rounded("linear", "{weight=e2m1 act=none}") == [((64,), -1, "e2m1")]
    assert rounded("linear", "{weight=none act=int8}") == [((64,), -1, "int8")]
    assert rounded("linear", "{only=other}") == []


@pytest.mark.parametrize("name", MODELS)
def test_every_backend_has_the_same_network(name: str) -> None:
    graph = architrave.loads(HEADER + MODELS[name])
    made, weights, rng = apply(graph, "mx").graph, architrave.init(graph), np.random.default_rng(0)
    shapes = [tuple(2 if not isinstance(size, int) else size for size in v.shape) for v in graph.inputs]
    given = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    (before,), (wanted,) = (interpret(g, given, weights).outputs for g in (graph, made))
    assert 0 < abs(wanted - before).max() < 0.1 * abs(before).max()
    for backend in ("numpy", "torch", "jax"):
        (found,) = architrave.compile(made, backend=backend).run(weights, *given).outputs
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)


def test_what_groups_do_not_divide_stays_with_the_reason() -> None:
    graph = architrave.loads("model M()(x: [N, 48], y: [48, 3]) -> [N, 3] = x @ y")
    made = apply(graph, "mx")
    assert made.graph == graph
    assert "groups of 32" in str(made.journal.refusals)
    with pytest.raises(ArchitraveError, match="E803"):
        apply(graph, "mx{group=0}")


@pytest.mark.parametrize(("format", "bits"), {"e4m3": 8.25, "e2m3": 6.25, "e2m1": 4.25, "int8": 8.25}.items())
def test_a_share_of_the_scale_counts(format: str, bits: float) -> None:
    graph = architrave.loads(HEADER + MODELS["linear"].replace("linear(4)", "linear(4, bias = false)"))
    made = apply(graph, f"mx{{weight={format}}}").graph
    assert size(made, architrave.init(graph)).bits_per_weight == bits


def test_one_input_of_many_layers_is_rounded_once() -> None:
    x, w = build.input("x", "[2, 32]"), build.param("w", "[4, 32]")
    graph = build.graph("G", [x], [build.linear(x, w), build.linear(x, w * 2)])
    assert sum(isinstance(node.op, RoundMx) for node in apply(graph, "mx").graph.nodes) == 3
