"""BiPFT: attention of bits, and estimates of what they leave out."""

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir import cost
from architrave.ir.interpret import interpret
from architrave.passes import apply
from architrave.passes.quantize.bits.cost import binary_cost
from tests.quantize.papers.binary import Array, drawn
from tests.stdlib.small import SMALL

RNG: Any = np.random.default_rng(0)
Q, K = RNG.normal(size=(2, 3, 5, 8)), RNG.normal(size=(2, 3, 7, 8))


def scores(q_rest: str, k_rest: str, weights: dict[str, Array] | None = None) -> Array:
    text = f"""
from std.bipft import estimated_scores, low_rank_rest, no_rest, whole_rest
model M()(q: [N, 3, 5, 8], k: [N, 3, 7, 8]) = estimated_scores(q, k, q -> a: {q_rest}, k -> b: {k_rest})
"""
    return interpret(architrave.loads(text), [Q, K], weights or {}).outputs[0]


def plain() -> Array:
    """The scores of bits alone."""
    q, k = (abs(x).mean((2, 3), keepdims=True) * np.where(x >= 0, 1, -1) for x in (Q, K))
    found: Array = q @ k.swapaxes(2, 3)
    return found


def test_exact_rests_give_the_product_of_floats() -> None:
    np.testing.assert_allclose(scores("whole_rest", "whole_rest"), Q @ K.swapaxes(2, 3), atol=1e-6)


def test_without_estimates_it_is_attention_of_bits() -> None:
    np.testing.assert_allclose(scores("no_rest", "no_rest"), plain(), atol=1e-12)
    shapes = {"down": (3, 8, 1), "up": (3, 1, 8)}
    silent = {f"{side}.{name}": np.zeros(shape) for side in "ab" for name, shape in shapes.items()}
    np.testing.assert_array_equal(scores("low_rank_rest", "low_rank_rest", silent), scores("no_rest", "no_rest"))


@pytest.mark.parametrize("rank", [1, 2])
def test_estimates_take_the_place_of_the_rests(rank: int) -> None:
    weights = {f"{side}.down": RNG.normal(size=(3, 8, rank)) for side in "ab"}
    weights |= {f"{side}.up": RNG.normal(size=(3, rank, 8)) for side in "ab"}
    q, k = (abs(x).mean((2, 3), keepdims=True) * np.where(x >= 0, 1, -1) for x in (Q, K))
    q_rest, k_rest = (x @ weights[f"{side}.down"] @ weights[f"{side}.up"] for side, x in (("a", Q), ("b", K)))
    expected = (q + q_rest) @ (k + k_rest).swapaxes(2, 3)
    found = scores(f"low_rank_rest({rank})", f"low_rank_rest({rank})", weights)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert np.linalg.matrix_rank(q_rest[0, 0]) == rank


def test_values_are_chosen_by_bits() -> None:
    p = RNG.dirichlet(np.ones(7), size=(2, 3, 5))
    text = """
from std.bipft import estimated_values, whole_rest
model M()(p: [N, 3, 5, 7], v: [N, 3, 7, 8]) = estimated_values(p, v, whole_rest(v))
"""
    found = interpret(architrave.loads(text), [p, K]).outputs[0]
    chosen = p >= p.max(-1, keepdims=True) / 2
    level = (p * chosen).sum(-1, keepdims=True) / chosen.sum(-1, keepdims=True)
    np.testing.assert_allclose(found, level * (chosen @ K), rtol=1e-9)


def test_work_and_memory_of_the_base_network() -> None:
    sizes = {"N": 1, "T": 128}
    floats = apply(architrave.load("bert_base"), "inference").graph
    found = binary_cost(apply(architrave.load("bipft_base"), "inference").graph, sizes)
    work = cost.multiply_adds(floats, sizes)
    memory = 32 * cost.parameters(floats)
    assert isinstance(work, int)
    assert isinstance(memory, int)
    assert work / found.operations == pytest.approx(56, rel=0.05)
    assert memory / found.stored_bits == pytest.approx(28, rel=0.05)


def test_every_product_of_the_network_is_of_bits_but_the_estimates() -> None:
    small = SMALL["BiPFTBase"]
    for rank in (0, 1):
        graph = apply(architrave.load("bipft_base", **small, rank=rank), "inference").graph
        found = binary_cost(graph, {"N": 1, "T": 5})
        assert (found.binary == found.multiply_adds) == (rank == 0)


def test_a_trained_network_is_bits() -> None:
    graph = architrave.load("bipft_base", **SMALL["BiPFTBase"])
    made = apply(graph, "inference,hoist")
    weights = drawn(graph)
    inputs = [np.array([[3, 4, 5]]), np.array([[0, 1, 1]]), np.array([[True, True, False]])]
    new = made.weights(weights)
    words = next(w for w in new.values() if w.shape == (31, 8))
    assert {-1.0, 1.0} == set(np.unique(new["layer.0.fc1.weight"])) == set(np.unique(words))
    for found, expected in zip(
        interpret(made.graph, inputs, new).outputs, interpret(graph, inputs, weights).outputs, strict=True
    ):
        np.testing.assert_array_equal(found, expected)
