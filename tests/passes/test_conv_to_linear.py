"""A convolution of a small image as a fully connected layer, and what that is for: RepMLP."""

import math

import numpy as np
import pytest

import architrave
from architrave.ir.interpret import interpret
from architrave.passes import apply

CONVOLUTION = "from std.conv import conv2d\nmodel M()(x: {}) = x -> {}"
CONVOLUTIONS = (
    "conv2d(4, 3)",
    "conv2d(6, 3, stride = 2, groups = 2)",
    "conv2d(4, [3, 1], dilation = 2, padding = 0, bias = false)",
    "conv2d(4, 5, groups = 4)",
)
REPMLP = "from std.repmlp import repmlp\nmodel M()(x: [N, 4, 8, 4]) = x -> m: repmlp(8, 4, [1, 3, 5], groups = GROUPS)"


def both(graph, passes: str):
    """The graph after passes, and the outputs before and after, on random weights."""
    rng = np.random.default_rng(0)
    weights = {path: rng.uniform(0.5, 1.5, w.shape) for path, w in architrave.init(graph).items()}
    x = rng.normal(size=[3, *graph.inputs[0].shape[1:]])
    made = apply(graph, passes)
    (before,) = interpret(graph, [x], weights).outputs
    (after,) = interpret(made.graph, [x], made.weights(weights)).outputs
    return made.graph, before, after


@pytest.mark.parametrize("text", CONVOLUTIONS)
def test_the_matrix_is_that_of_the_convolution(text: str) -> None:
    graph = architrave.loads(CONVOLUTION.format("[N, 4, 6, 5]", text))
    made, before, after = both(graph, "inference,conv-to-linear,hoist")
    np.testing.assert_allclose(after, before, rtol=1e-11, atol=1e-11)
    (conv,) = (node for node in made.nodes if node.op.name == "conv")
    assert conv.operands[1].shape[2:] == (1, 1)


def test_zeros_around_are_zeros_in_the_matrix() -> None:
    graph = architrave.loads(CONVOLUTION.format("[N, 1, 2, 2]", "conv2d(1, 3, bias = false)"))
    made = apply(graph, "inference,conv-to-linear,hoist")
    kernel = np.arange(9.0).reshape(1, 1, 3, 3)
    (matrix,) = made.weights({"conv2d_0.weight": kernel}).values()
    np.testing.assert_array_equal(matrix.reshape(4, 4), [[4, 5, 7, 8], [3, 4, 6, 7], [1, 2, 4, 5], [0, 1, 3, 4]])


@pytest.mark.parametrize("groups", [1, 2])
def test_repmlp_becomes_fully_connected_layers(groups: int) -> None:
    """No convolution of more than one tap is left, and the matrix has as many numbers as that of its training form."""
    graph = architrave.loads(REPMLP.replace("GROUPS", str(groups)))
    made, before, after = both(graph, "inference,reparam,conv-to-linear,clean,reparam,hoist,clean")
    np.testing.assert_allclose(after, before, rtol=1e-10, atol=1e-10)
    shapes = [node.operands[1].shape for node in made.nodes if node.op.name == "conv"]
    assert shapes == [(8 * 16, 4 * 16 // groups, 1, 1)]
    assert math.prod(shapes[0]) == 8 * 16**2 * 4 // groups
    assert "batch_norm" not in {node.op.name for node in made.nodes}


def test_what_is_too_large_is_declined() -> None:
    graph = architrave.loads(CONVOLUTION.format("[N, 1, H, 9]", "conv2d(1, 3)"))
    (entry,) = apply(graph, "inference,conv-to-linear").journal.declined
    assert "the run alone" in (entry.reason or "")
    graph = architrave.loads(CONVOLUTION.format("[N, 1, 9, 9]", "conv2d(1, 3)"))
    (entry,) = apply(graph, "inference,conv-to-linear{largest=100}").journal.declined
    assert "6561 numbers" in (entry.reason or "")
