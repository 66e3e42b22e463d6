"""What becomes of the library's blocks when their networks are deployed: the same function of fewer weights."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest

from architrave.backends.agree.verification import verify
from architrave.ir.autodiff import with_gradients
from architrave.ir.cost import multiply_adds, parameters
from architrave.ir.mode import specialize
from architrave.passes import apply
from tests.reparam.blocks import drawn, network, operators, run

RNG = np.random.default_rng(0)
GONE = {"batch_norm", "layer_norm", "rsqrt", "divide", "multiply"}


class Case(NamedTuple):
    """A network, the shape of an example of its input, and how many weights are left at most."""

    body: str
    inputs: str
    example: tuple[int, ...]
    left: int


CASES = {
    "rezero": Case("x -> rezero(linear(4))", "x: [N, 4]", (4,), 4 * 4 + 4),
    "rezero, in a row": Case("x -> rezero(mlp(6)) -> rezero(mlp(6))", "x: [N, 4]", (4,), 2 * (4 * 6 + 6 + 6 * 4 + 4)),
    "rezero, of a transformer": Case(
        "x -> rezero_transformer_layer(2, 8)", "x: [N, T, 4]", (3, 4), 4 * (4 * 4 + 4) + 4 * 8 + 8 + 8 * 4 + 4
    ),
    "slab": Case("x -> rep_norm -> linear(3)", "x: [N, 4]", (4,), 4 * 3 + 3),
    "slab, of tokens": Case("x -> rep_norm -> linear(3)", "x: [N, T, 4]", (5, 4), 4 * 3 + 3),
    "slab, scheduled": Case("x -> scheduled_norm(9) -> mlp(8)", "x: [N, T, 4]", (5, 4), 4 * 8 + 8 + 8 * 4 + 4),
    "unified": Case("x -> unified_norm -> linear(3)", "x: [N, T, 4]", (5, 4), 4 * 3 + 3),
    "unified, for several": Case(
        "x -> unified_norm -> (linear(3), linear(2), linear(2))", "x: [N, T, 4]", (5, 4), 7 * (4 + 1)
    ),
    "unified, in a residual": Case("x + (x -> unified_norm -> mlp(8))", "x: [N, T, 4]", (5, 4), 4 * 8 + 8 + 8 * 4 + 4),
    "parallel": Case("x -> residual_stack([linear(4) for i in 0..6], true)", "x: [N, 4]", (4,), 4 * 4 + 4),
    "parallel convolutions": Case(
        "x -> residual_stack([conv2d(4, k) for k in [1, 3, 5]], true)", "x: [N, 4, 5, 6]", (4, 5, 6), 4 * 4 * 25 + 4
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_affine_goes_into_its_neighbour(name: str) -> None:
    case = CASES[name]
    graph = network(case.body, case.inputs)
    deployed = apply(graph, "deploy")
    weights, x = drawn(graph), RNG.normal(size=(3, *case.example))
    both = ((specialize(graph, training=False), weights), (deployed.graph, deployed.weights(weights)))
    values = [run(g, w, x).outputs for g, w in both]
    slopes = [np.random.default_rng(1).normal(size=output.shape) for output in values[0]]
    by_x = [run(with_gradients(g, g.inputs), w, x, *slopes).outputs[-1:] for g, w in both]
    for old, new in (values, by_x):
        for a, b in zip(old, new, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)
    assert int(parameters(deployed.graph)) <= case.left < int(parameters(graph))
    assert not GONE & operators(deployed.graph)


@pytest.mark.parametrize(("groups", "kernels"), [(1, [1, 3]), (2, [3]), (4, [1, 3, 5])])
def test_repmlp_keeps_one_matrix(groups: int, kernels: list[int]) -> None:
    (c, out, patch) = (4, 8, 4)
    graph = network(f"x -> m: repmlp({out}, {patch}, {kernels}, {groups}, folded = true)", f"x: [N, {c}, 8, 4]")
    deployed = apply(graph, "deploy")
    weights, x = drawn(graph), RNG.normal(size=(3, c, 8, 4))
    new = deployed.weights(weights)
    np.testing.assert_allclose(run(deployed.graph, new, x).outputs[0], run(graph, weights, x).outputs[0], rtol=1e-10)
    kernel = {node.operands[1].shape for node in deployed.graph.nodes if node.op.name == "conv"}
    assert kernel == {(out * patch**2, c * patch**2 // groups, 1, 1)}
    assert math.prod(*kernel) == out * patch**4 * c // groups
    assert int(multiply_adds(deployed.graph, {"N": 1})) < int(multiply_adds(graph, {"N": 1}))


def test_branches_of_repmlp_become_one_convolution() -> None:
    graph = network("x -> m: repmlp(8, 4, [1, 3, 5])", "x: [N, 4, 4, 4]")
    deployed = apply(graph, "deploy")
    weights, x = drawn(graph), RNG.normal(size=(3, 4, 4, 4))
    found, expected = run(deployed.graph, deployed.weights(weights), x), run(graph, weights, x)
    np.testing.assert_allclose(found.outputs[0], expected.outputs[0], rtol=1e-12, atol=1e-12)
    assert "batch_norm" not in operators(deployed.graph)
    convolutions = [node for node in deployed.graph.nodes if node.op.name == "conv"]
    assert len(convolutions) == 2  # the matrix, and one kernel of five cells


@pytest.mark.parametrize("name", ["slab, scheduled", "unified, in a residual", "rezero, of a transformer"])
def test_backends_agree_on_what_is_left(name: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    report = verify(apply(network(*CASES[name][:2]), "deploy").graph, gradients=False)
    assert report.ok, str(report)
