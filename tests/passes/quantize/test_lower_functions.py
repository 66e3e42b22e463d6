"""Functions, softmax, norms, sums and means become operators of integers, or it is said why not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.backends.agree.trial import trial
from architrave.backends.load import compile
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.passes import apply
from tests.passes.quantize.calibrated import calibrated

Array = np.ndarray[Any, Any]

LOWERED = {
    "gelu": ("[N, 8]", "x -> gelu", {"lookup"}),
    "written out": ("[N, 8]", "1.0 / (1.0 + exp(0.5 - x)) + 0.1", {"lookup"}),
    "softmax": ("[N, 12]", "softmax(x)", {"softmax_integer"}),
    "softmax of a long axis": ("[2, 3000, 2]", "softmax(x, axis = 1)", {"softmax_integer"}),
    "layer norm": ("[N, 4, 24]", "x -> layer_norm", {"layer_norm_integer"}),
    "layer norm without weights": ("[N, 4, 24]", "x -> layer_norm(affine = false)", {"layer_norm_integer"}),
    "layer norm of channels": ("[N, 8, 5, 5]", "x -> layer_norm2d", {"layer_norm_integer"}),
    "rms norm": ("[N, 24]", "x -> rms_norm", {"rms_norm_integer"}),
    "rms norm without weights": ("[N, 24]", "op.rms_norm(x)", {"rms_norm_integer"}),
    "group norm": ("[N, 8, 6, 6]", "x -> group_norm(2)", {"layer_norm_integer"}),
    "mean": ("[N, 8, 6, 6]", "mean(x, axis = [2, 3])", {"mean_integer"}),
    "pool": ("[N, 3, 6, 6]", "op.avg_pool(x, kernel = [3, 2], padding = [[1, 1], [0, 1]])", {"average_pool_integer"}),
    "adaptive pool": ("[N, 3, 6, 6]", "op.adaptive_avg_pool(x, size = [3, 2])", {"average_pool_integer"}),
    "adaptive pool to one": ("[N, 3, 6, 6]", "op.adaptive_avg_pool(x, size = [1, 1])", {"mean_integer"}),
    "sum over an axis": ("[N, 8, 6]", "sum(x, axis = 1)", {"sum"}),
    "sum of two": ("[N, 8]", "tanh(x) + x", {"lookup", "add_integer"}),
    "difference": ("[N, 8]", "x - sigmoid(x)", {"lookup", "add_integer"}),
    "quotient": ("[N, 8]", "x / (1.5 + tanh(x))", {"lookup", "floor_divide"}),
    "quotient of what is negative": ("[N, 8]", "x / (tanh(x) - 1.5)", {"lookup", "floor_divide"}),
    "length": ("[N, 8, 6]", "norm(x, axis = 1)", {"rsqrt_integer"}),
    "maximum of sums": ("[N, 3, 6, 6]", "relu(op.max_pool(x + tanh(x), kernel = [2, 2]))", {"add_integer", "max_pool"}),
    "transposed": ("[N, 3, 5, 6]", "x -> up: conv_transpose2d(4, 3, stride = 2)", {"stack", "conv_integer"}),
    "transposed in groups": (
        "[N, 4, 5, 6]",
        "x -> up: conv_transpose2d(6, 3, stride = 1, groups = 2, padding = 1)",
        {"conv_integer"},
    ),
    "padding": ("[N, 4]", "pad(x - 5.0, [[0, 0], [1, 2]])", {"pad"}),
    "padding that repeats": ("[N, 4]", 'pad(x, [[0, 0], [1, 2]], mode = "wrap")', {"pad"}),
    "concatenation": ("[N, 8]", "concat([x, tanh(x), 3.0 * x], 1)", {"lookup", "concat"}),
    "causal attention": ("[N, 2, 6, 8]", "op.attention(x, tanh(x), x, causal = true)", {"softmax_integer", "where"}),
}
"""What a network does, and the operators that must be in it when it is lowered."""

DECLINED = {
    "softmax": ("[N, T]", "softmax(x)", "32 bits might not hold the sum of T exponentials"),
    "softmax that is longer still": (
        "[1, 40000]",
        "softmax(x)",
        "32 bits might not hold the sum of 40000 exponentials",
    ),
    "norm": ("[1, 20000]", "x -> layer_norm(affine = false)", "32 bits might not hold the squares of 20000 elements"),
    "length": ("[40000, N]", "norm(x, axis = 0)", "32 bits might not hold the squares of 40000 elements"),
    "mean": ("[N, T, 8]", "mean(x, axis = 1)", "32 bits might not hold the sum of T elements"),
    "windows": ("[N, 3, 7]", "op.adaptive_avg_pool(x, size = [3])", "its windows differ in size"),
    "computed weight": (
        "[N, 8]",
        "op.layer_norm(x, mean(x, axis = 0))",
        "its weight or its bias is computed in the run",
    ),
}


def network(shape: str, body: str) -> Graph:
    """What is asked for, of numbers that are rounded before it, and rounded again behind it."""
    text = f"""
from std.conv import conv_transpose2d
from std.norm import group_norm, layer_norm, layer_norm2d, rms_norm

model Net()(x: {shape}) {{
    y = {body}
    return y + y
}}
"""
    return apply(architrave.loads(text), "inference,clean").graph


def lowered(graph: Graph, options: str = "functions=true") -> tuple[Any, Graph, dict[str, Array], Any]:
    """A network as integers compute it, what it was before, with calibrated weights, and an input."""
    drawn = trial(graph, seed=1)
    made = apply(graph, f"quantize{{{options}}}")
    weights = calibrated(made.graph, made.weights(drawn.weights), drawn.inputs, False)
    return apply(made.graph, "integer,hoist,clean"), made.graph, weights, drawn.inputs


@pytest.mark.parametrize(("shape", "body", "wanted"), LOWERED.values(), ids=LOWERED)
def test_lowered(shape: str, body: str, wanted: set[str]) -> None:
    made, before, weights, inputs = lowered(network(shape, body))
    names = {node.op.name for node in made.graph.nodes}
    assert wanted <= names
    assert not any(
        v.dtype.is_float and node.operands and node.op.name != "dequantize"
        for node in made.graph.nodes
        for v in node.outputs
    )
    new = made.weights(weights)
    (near,), (found,) = interpret(before, inputs, weights).outputs, interpret(made.graph, inputs, new).outputs
    step = np.abs(near).max() / 100
    assert np.abs(found - near).max() <= 1.1 * step
    for target in ("numpy", "torch", "jax"):
        (result,) = compile(made.graph, target).run(new, *inputs).outputs
        assert result.tobytes() == found.astype(result.dtype).tobytes(), target


@pytest.mark.parametrize(("shape", "body", "reason"), DECLINED.values(), ids=DECLINED)
def test_declined(shape: str, body: str, reason: str) -> None:
    made, *_ = lowered(network(shape, body))
    assert reason in {entry[-1] for entry in made.journal.refusals}


def test_what_comes_out_of_a_function_is_a_table_of_floats() -> None:
    graph = architrave.loads("model Net()(x: [N, 8]) = tanh(exp(x + x) + 1.0)")
    made, before, weights, inputs = lowered(apply(graph, "inference,clean").graph)
    assert made.graph.outputs[0].op.name == "lookup"
    new = made.weights(weights)
    (near,) = interpret(before, inputs, weights).outputs
    results = [compile(made.graph, target).run(new, *inputs).outputs[0] for target in ("numpy", "torch", "jax")]
    assert {result.tobytes() for result in results} == {near.astype(np.float32).tobytes()}


def test_a_weight_that_multiplies_may_be_negative() -> None:
    graph = architrave.loads("model Net()(x: [N, 8]) { \n param a: [] \n return a * tanh(x) + x }")
    made, before, weights, inputs = lowered(apply(graph, "inference,clean").graph)
    assert "add_integer" in {node.op.name for node in made.graph.nodes}
    for number in (-0.7, 0.0, 1.3):
        given = {**weights, "a": np.array(number, np.float32)}
        (near,) = interpret(before, inputs, given).outputs
        (found,) = interpret(made.graph, inputs, made.weights(given)).outputs
        np.testing.assert_allclose(found, near, atol=1e-4 * np.abs(near).max())


def test_functions_of_sums_ask_for_rounding() -> None:
    graph = architrave.loads(
        "from std.linear import linear\nmodel Net()(x: [N, 8]) = x -> a: linear(8) -> gelu -> b: linear(8)"
    )
    made, *_ = lowered(apply(graph, "inference,clean").graph, "functions=false")
    assert any("quantize{functions=true}" in str(entry[-1]) for entry in made.journal.refusals)
