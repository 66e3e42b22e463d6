"""Sets of weights for where a ResNet pools, as many placements to each: Javan, Toews and Pedersoli (2023)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.arrays import Array
from architrave.ir.cost import parameters
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.models import find
from architrave.search.space.costs import Costs
from architrave.search.supernet.balanced import BalancedMixture, balanced
from architrave.search.supernet.nested import Sampled, SliceTrainer
from architrave.search.supernet.slices import Slices
from architrave.train import SGD, Objective, Recipe, Schedule
from tests.stdlib.small import SMALL

SLICES = Slices(Costs(find("PoolingSpace"), SMALL["PoolingSpace"], {"N": 1}))
RNG: Any = np.random.default_rng(0)
X: Array = RNG.standard_normal((4, *map(int, map(str, SLICES.graph.inputs[0].shape[1:]))))
LABELS = RNG.integers(0, 3, 4)


def mixture(sets: int = 3, **options: Any) -> BalancedMixture:
    recipe, target = Recipe(SGD(), Objective("cross_entropy")), parse_type("i64[N]")
    first = [architrave.init(SLICES.graph, seed, "float64") for seed in range(sets)]
    trainer = SliceTrainer(SLICES, first[0], recipe, Schedule(0.05, 100), target, Sampled(1), dtype="float64")
    return BalancedMixture(trainer, first, **options)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
@pytest.mark.parametrize(("members", "sets"), [(36, 4), (36, 1), (7, 3)])
def test_every_set_gets_as_many_members(members: int, sets: int, temperature: float) -> None:
    table = balanced(RNG.standard_normal((members, sets)), temperature)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(table.sum(axis=0), members / sets, rtol=1e-9)


def test_members_go_where_they_lose_least_as_far_as_there_is_room() -> None:
    scores = np.array([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    table = balanced(scores, 0.05)
    np.testing.assert_allclose(table.argmax(axis=1), [0, 0, 1, 1])
    np.testing.assert_allclose(balanced(np.zeros((6, 3))), 1 / 3)


def test_the_table_is_made_of_what_members_lose() -> None:
    found = mixture(every=6)
    for _ in range(6):
        found.train(X, LABELS)
    assert found.steps == sum(each.steps for each in found.sets) == 6
    assert (~np.isnan(found.losses)).sum() <= 6
    np.testing.assert_allclose(found.table.sum(axis=0), 36 / 3, rtol=1e-9)
    found.losses = RNG.uniform(0, 1, found.table.shape)
    found.rebalance()
    np.testing.assert_allclose(found.table.sum(axis=0), 36 / 3, rtol=1e-9)
    assert np.ptp(found.table) > 0.5


def test_only_the_chosen_set_learns() -> None:
    found = mixture()
    before = [each.weights() for each in found.sets]
    found.train(X, LABELS)
    moved = [
        any((w != b[path]).any() for path, w in s.weights().items()) for s, b in zip(found.sets, before, strict=True)
    ]
    assert sum(moved) == 1


def test_a_member_cut_out_equals_the_mixture_that_is_routed_to_its_set() -> None:
    found = mixture(every=2)
    for _ in range(4):
        found.train(X, LABELS)
    for number in (0, 17, 35):
        member = found.space.member(number)
        child = found.child(member)
        row = np.eye(3)[found.chosen(member)]
        (mixed,) = architrave.interpret(found.mixed(member, row), [X], found.weights(member)).outputs
        (alone,) = architrave.interpret(child.graph, [X], child.weights).outputs
        np.testing.assert_allclose(mixed, alone, rtol=1e-10, atol=1e-10)
        soft = architrave.interpret(found.mixed(member), [X], found.weights(member)).outputs[0]
        assert soft.shape == alone.shape


def test_parameters_do_not_depend_on_the_placement() -> None:
    found = mixture(sets=2)
    counts = {parameters(found.mixed(found.space.member(number))) for number in range(0, 36, 5)}
    assert counts == {2 * parameters(SLICES.graph)}


def test_a_table_of_too_many_members_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("architrave.search.supernet.balanced.LARGEST", 35)
    with pytest.raises(ArchitraveError, match="has 36 members"):
        mixture()
