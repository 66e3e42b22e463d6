"""Supernets as continuous mixtures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.models import find_in_text
from architrave.passes.search.weighed import Gumbel, weighed
from architrave.search.supernet.differentiable import Differentiable
from architrave.train import SGD, Adam, Objective, Recipe, Schedule
from tests.search.supernets import IMAGES, assert_equal_to_its_members, drawn, space

TEXT = """
model Signs()(x: [N, 2]) -> [N, 2] {
    param weight: [2] = ones
    y = (x * weight) -> choice op { minus: minus, square: squared, same: identity }
    return y -> choice last { half: half, same: identity }
}
fn minus(x: [*S]) = -x
fn squared(x: [*S]) = x * x
fn half(x: [*S]) = x / 2
"""


def signs() -> Graph:
    return find_in_text(TEXT).elaborate({}, keep_choices=True).graph


@pytest.mark.parametrize("gumbel", [None, Gumbel(), Gumbel(hard=True)])
def test_a_member_is_the_supernet_with_weights_that_have_decided(gumbel: Gumbel | None) -> None:
    found = weighed(space(), gumbel)
    if gumbel is None:
        assert_equal_to_its_members(found)
        return
    weights = drawn(found.graph)
    for member in ({"op.0": "one"}, {"op.1": "skip", "source": "first"}):
        held = {**weights, **found.setting(member)}
        (whole,) = architrave.interpret(found.graph, [IMAGES], held).outputs
        (alone,) = architrave.interpret(found.member(member), [IMAGES], held_by(found.member(member), held)).outputs
        np.testing.assert_allclose(whole, alone, rtol=0, atol=1e-10)


def held_by(graph: Graph, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {path: weights[path] for path in architrave.init(graph)}


def test_what_a_choice_weighs() -> None:
    found = weighed(signs())
    x = np.array([[3.0, -2.0]])
    alphas = {"op.alpha": np.log([1.0, 2.0, 5.0]), "last.alpha": np.log([1.0, 3.0])}
    (y,) = architrave.interpret(found.graph, [x], {"weight": np.ones(2), **alphas}).outputs
    np.testing.assert_allclose(y, (-x / 8 + x**2 / 4 + 5 * x / 8) * (1 / 8 + 3 / 4), rtol=1e-12)
    assert found.weights(alphas)["op"] == pytest.approx({"minus": 1 / 8, "square": 1 / 4, "same": 5 / 8})
    assert found.derived(alphas) == {"op": "same", "last": "same"}
    assert found.alphas == ("op.alpha", "last.alpha")


def test_gumbel_weights_are_one_hot_where_the_temperature_is_low() -> None:
    alphas = {"op.alpha": np.log([1.0, 2.0, 5.0]), "last.alpha": np.array([0.0, 50.0]), "weight": np.ones(2)}
    x = np.array([[3.0, -2.0]])
    counts = {}
    for hard, temperature in ((False, 1e-4), (True, 1.0)):
        graph = weighed(signs(), Gumbel(hard)).graph
        counts[hard] = np.zeros(3)
        for step in range(300):
            held = {**alphas, "temperature": np.asarray(temperature)}
            (y,) = architrave.interpret(graph, [x], held, training=True, key=(0, step)).outputs
            near = [np.abs(y - wanted).max() < 0.02 for wanted in (-x, x**2, x)]
            counts[hard] += near
    assert (counts[False] == counts[True]).all()
    np.testing.assert_allclose(counts[True] / 300, [1 / 8, 1 / 4, 5 / 8], atol=0.06)


def test_turns() -> None:
    """What weighs learns from held-out examples, and the weights from the others."""
    target = parse_type("[N, 2]")
    recipe = Recipe(SGD(), Objective("mse"))
    search = Recipe(Adam(beta1=0.5), Objective("mse"))
    rates = Schedule(1e-2, 300, "constant"), Schedule(0.05, 300, "constant")
    found = Differentiable(weighed(signs()), recipe, rates[0], search, rates[1], target, dtype="float64")
    rng = np.random.default_rng(0)
    first = found.weights()
    for step in range(150):
        x = rng.normal(size=(2, 8, 2))
        wanted = 3 * x**2 / 2
        found.train((x[0], wanted[0]), (x[1], wanted[1]))
        if step == 0:
            assert not np.array_equal(found.weights()["weight"], first["weight"])
            assert not np.array_equal(found.weights()["op.alpha"], first["op.alpha"])
    assert found.derived()["op"] == "square"


def test_the_weights_of_alternatives_are_a_group_of_their_own() -> None:
    rates = Schedule(1e-2, 9), Schedule(0.05, 9)
    recipe = Recipe(SGD(), Objective("mse"), decay=0.1)
    found = Differentiable(weighed(signs()), recipe, rates[0], recipe, rates[1], parse_type("[N, 2]"))
    learning = [list(learning_of(each.graph)) for each in (found.inner, found.outer)]
    assert learning == [["weight"], ["op.alpha", "last.alpha"]]


def learning_of(step: Graph) -> Iterator[str]:
    """What a step changes."""
    return (path_of(state) for state, _ in step.updates if not path_of(state).startswith("optimizer"))


def test_integers_are_not_weighed() -> None:
    text = "model M()(x: i64[N], y: i64[N]) { return choice which { first: x, other: y } }"
    with pytest.raises(ArchitraveError, match=r"E958.*cannot be weighed"):
        weighed(find_in_text(text).elaborate({}, keep_choices=True).graph)
