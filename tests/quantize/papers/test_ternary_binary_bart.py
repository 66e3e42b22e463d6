"""BART in two and three levels, by the statistics of weights and learned scales of activations."""

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir import cost
from architrave.ir.interpret import interpret
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer
from tests.quantize.papers.binary import Array, drawn, gradient, slopes, value
from tests.stdlib.small import SMALL

RNG: Any = np.random.default_rng(0)


@pytest.mark.parametrize("rows", [False, True])
def test_weights_take_three_levels(rows: bool) -> None:
    weight = RNG.normal(0.3, 2.0, size=(5, 400))
    found = value(f"ternary(x, {str(rows).lower()})", weight)
    axis = 1 if rows else None
    a = 4 / 3 * abs(weight - weight.mean(axis, keepdims=True)).mean(axis, keepdims=True) * np.ones((5, 1))
    for levels, size in zip(found, a, strict=True):
        np.testing.assert_allclose(np.unique(levels), [-size[0], 0, size[0]], rtol=1e-12)


@pytest.mark.parametrize("rows", [False, True])
def test_weights_take_two_levels(rows: bool) -> None:
    weight = RNG.normal(0.3, 2.0, size=(5, 400))
    axis = 1 if rows else None
    centred = weight - weight.mean(axis, keepdims=True)
    expected = abs(centred).mean(axis, keepdims=True) * np.where(centred >= 0, 1, -1)
    np.testing.assert_allclose(value(f"binary(x, {str(rows).lower()})", weight), expected, rtol=1e-12)


def test_of_uniform_weights_a_third_is_on_each_level() -> None:
    weight = (np.arange(300_000) + 0.5) / 150_000 - 1
    levels, counts = np.unique(value("ternary(x)", weight.reshape(300, 1000)), return_counts=True)
    np.testing.assert_allclose(levels, [-2 / 3, 0, 2 / 3], atol=1e-9)
    np.testing.assert_allclose(counts / len(weight), 1 / 3, atol=1e-5)


@pytest.mark.parametrize("fn", ["ternary", "binary"])
def test_gradients_go_straight_through(fn: str) -> None:
    weight = np.linspace(-0.7, 0.9, 41)
    centred = weight - weight.mean()
    size = abs(centred).mean()
    slope = 1.0 * (abs(centred) <= 4 / 3 * size) if fn == "ternary" else size * (abs(centred) <= 1)
    for backend, found in slopes(f"{fn}(x)", weight).items():
        np.testing.assert_allclose(found, slope, atol=1e-6, err_msg=backend)


LEVELS = {
    "[-1, 1]": lambda z: np.where(z >= 0, 1.0, -1.0),
    "[0, 1]": lambda z: np.where(z >= 0.5, 1.0, 0.0),
    "[-1, 0, 1]": lambda z: np.rint(np.clip(z, -1, 1)),
}


@pytest.mark.parametrize("levels", LEVELS)
def test_activations_and_their_learned_step(levels: str) -> None:
    x = RNG.normal(size=(30, 20))
    weights = {"e.scale": np.array(0.7), "e.shift": np.array(0.2)}
    body, z = f"x -> e: elastic({levels})", (x - 0.2) / 0.7
    expected = LEVELS[levels](z)
    np.testing.assert_allclose(value(body, x, weights=weights), 0.7 * expected, rtol=1e-12)
    inside = (z > float(levels[1:].split(",")[0])) & (z < 1)
    np.testing.assert_allclose(gradient(body, x, np.ones(x.shape), weights), 1.0 * inside, rtol=1e-12)
    network = architrave.loads(f"from std.ternary import elastic\nmodel M()(x: [30, 20]) = {body}")
    by = architrave.compile(network, backend="torch").gradients(weights, x).params
    np.testing.assert_allclose(by["e.scale"], np.where(inside, expected - z, expected).sum(), rtol=1e-9)
    np.testing.assert_allclose(by["e.shift"], -1.0 * inside.sum(), rtol=1e-9)


@pytest.mark.parametrize("levels", [[-1, 0, 1], [-1, 1]])
def test_every_product_is_of_few_levels(levels: list[int]) -> None:
    graph = architrave.load("ternary_bart_base", **SMALL["TernaryBARTBase"], levels=levels)
    weights = drawn(graph)
    weights |= {path: abs(w) + 0.5 for path, w in weights.items() if path.endswith(".scale")}
    inputs = [np.array([[3, 4, 5, 6]]), np.array([[7, 8, 9]]), np.array([[True, True, True, False]])]
    products = cost.multiply_adds_by_node(graph)
    seen: list[int] = []

    def observe(node: Any, values: tuple[Array, ...]) -> None:
        known.update(zip(node.outputs, values, strict=True))
        if node in products:
            seen.extend(len(np.unique(known[v].round(9))) for v in node.operands[:2])

    known: dict[Any, Array] = {}
    (logits,) = interpret(graph, inputs, weights, observe=observe).outputs
    assert logits.shape == (1, 3, 31)
    *inner, last, _ = seen
    assert max(inner) <= 3
    assert len(inner) == 2 * (8 + 14), "an encoder layer has 8 products, a decoder layer 14"
    assert last > 3, "the last product has the normalized outputs of the decoder"


def test_it_learns_from_a_teacher() -> None:
    small = {**SMALL["TernaryBARTBase"], "dropout": 0.0}
    graph = architrave.load("ternary_bart_base", **small)
    tokens, mask = RNG.integers(3, 31, (8, 6)), np.ones((8, 6), bool)
    teacher = architrave.load("bart_base", **{**SMALL["BARTBase"], "dropout": 0.0})
    logits = architrave.compile(teacher, backend="numpy")(architrave.init(teacher), tokens, tokens, mask)
    recipe = Recipe(AdamW(), Objective("distillation"))
    trainer = Trainer(graph, recipe, Schedule(0.01, 30), graph.outputs[0].type)
    losses = [trainer.train(tokens, tokens, mask, 20 * logits) for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0]
