"""A convolution as a chain of thin ones (row `cp-conv-a-priori`).

What is a sum of few products is found again, what is not is approximated.
"""

import numpy as np
import pytest

import architrave
from architrave.ir import cost
from architrave.ir.interpret import interpret
from architrave.passes import Keeps, apply

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 7, 8))


def network(text: str):
    return architrave.loads(f"from std.conv import conv2d\nmodel M()(x: [N, 5, 7, 8]) = x -> c: {text}")


def product(rank: int, sizes: tuple[int, ...]) -> np.ndarray:
    factors = [RNG.normal(size=(size, rank)) for size in sizes]
    return np.einsum("or,ir,hr,wr->oihw", *factors)


@pytest.mark.parametrize(
    "text", ["conv2d(6, 3)", "conv2d(6, [3, 5], stride = [2, 1], padding = [1, 2], dilation = [1, 2])"]
)
def test_a_sum_of_two_products_is_found_again(text: str) -> None:
    graph = network(text)
    kernel = graph.weights[0].shape
    weights = {"c.weight": product(2, kernel), "c.bias": RNG.normal(size=6)}
    made = apply(graph, "inference,cp{rank=2 sweeps=60},hoist")
    assert made.keeps is Keeps.LOSSY
    assert cost.parameters(made.graph) == 2 * sum(kernel) + 6
    expected = interpret(graph, [X], weights).outputs[0]
    found = interpret(made.graph, [X], made.weights(weights)).outputs[0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    back = apply(made.graph, "reparam{grow=true},hoist").graph
    assert [node.op.name for node in back.nodes if node.operands] == ["conv"]


def test_more_products_come_nearer() -> None:
    graph = network("conv2d(6, 3, bias = false)")
    weights = {"c.weight": RNG.normal(size=(6, 5, 3, 3))}
    expected = interpret(graph, [X], weights).outputs[0]
    errors = []
    for rank in (2, 6, 12):
        made = apply(graph, f"inference,cp{{rank={rank}}},hoist")
        errors.append(np.abs(interpret(made.graph, [X], made.weights(weights)).outputs[0] - expected).mean())
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize(("text", "why"), [("conv2d(5, 3, groups = 5)", "groups"), ("conv2d(2, 3)", "would hold")])
def test_what_gains_nothing_is_declined(text: str, why: str) -> None:
    (entry,) = apply(network(text), "inference,cp{rank=9}").journal.declined
    assert why in (entry.reason or "")
