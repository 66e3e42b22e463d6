"""gradual-pruning: Zhu and Gupta, "To prune, or not to prune" (2017)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError
from architrave.record.gradients import Gradients
from architrave.sparsity.learning.training import Gradually
from architrave.sparsity.masks.masked import masks, with_masks
from architrave.sparsity.masks.schedules import Gradual
from architrave.sparsity.masks.sizes import bitmask, csr, sizes
from architrave.sparsity.networks.twin import dense_twin, numbers
from architrave.sparsity.scores.plan import Plan
from architrave.train import AdamW, Dataset, Loop, Objective, Recipe, Schedule, Trainer, run
from tests.sparsify.networks import DIGITS, SMALL, hidden, masked

SPARSITIES = (0.5, 0.75, 0.875, 0.9, 0.95)


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("first", [0.0, 0.25])
def test_the_schedule_is_cubic(sparsity: float, first: float) -> None:
    schedule = Gradual(1 - sparsity, begin=30, every=7, updates=20, initial=1 - first)
    at = {step: 1 - schedule.density(step) for step in range(30, 171)}
    assert (at[30], at[170]) == (1 - (1 - first), 1 - (1 - sparsity)), "the ends are exact"
    assert at[100] == pytest.approx(sparsity + (first - sparsity) / 8, rel=1e-12)
    for step in range(30, 171, 7):
        wanted = sparsity + (first - sparsity) * (1 - (step - 30) / 140) ** 3
        assert at[step] == pytest.approx(wanted, abs=1e-12)
    assert [step for step in range(300) if schedule.is_due(step)] == list(range(30, 171, 7))


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_half_way_from_none_it_is_seven_eighths(sparsity: float) -> None:
    assert 1 - Gradual(1 - sparsity, 0, 10, 10).density(50) == pytest.approx(0.875 * sparsity, rel=1e-12)


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_each_weight_has_exactly_its_zeros_and_they_stay(sparsity: float) -> None:
    rng: Any = np.random.default_rng(0)
    data = Dataset((rng.normal(size=(48, 4, 8, 8)).astype(np.float32),), rng.integers(0, 10, 48))
    graph, weights = masked(SMALL)
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1)
    trainer = Trainer(graph, recipe, Schedule(1e-2, 100), data.target_type(graph), weights=weights)
    density = round(1 - sparsity, 3)
    gradually = Gradually(Plan(density, distribution="each"), Gradual(density, 0, 1, 4))
    run(trainer, data, Loop(2, 16, refresh=[gradually]))
    before = masks(graph, trainer.weights())
    run(trainer, data, Loop(4, 16, refresh=[gradually]))
    for path, mask in masks(graph, trainer.weights()).items():
        assert int(np.count_nonzero(~mask)) == round(sparsity * mask.size)
        assert np.array_equal(mask, before[path]), "after the last update nothing changes"
    assert not any(part.any() for part in hidden(graph, trainer.weights()).values())


def test_masked_weights_get_no_gradient() -> None:
    graph, weights = masked(SMALL)
    rng: Any = np.random.default_rng(0)
    held = with_masks(graph, weights, {path: rng.random(m.shape) < 0.3 for path, m in masks(graph, weights).items()})
    loss = Objective("cross_entropy").attached(graph, Dataset((), np.zeros(4, int)).target_type(graph))
    batch = (rng.normal(size=(4, 4, 8, 8)).astype(np.float32), np.arange(4))
    found = Gradients(loss, list(masks(graph, held)), "numpy").mean(held, [batch])
    for path, mask in masks(graph, held).items():
        assert not found[path][~mask].any()
        assert found[path][mask].any()


def mlp(width: int) -> Graph:
    return architrave.load(DIGITS / "mlp.arch", width=width)


@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_a_small_dense_network_has_as_many_numbers(sparsity: float) -> None:
    width = dense_twin(mlp, 128, 1 - sparsity)
    assert numbers(mlp(width)) <= (1 - sparsity) * 9610 < numbers(mlp(width + 1))


def test_a_twin_that_there_is_not() -> None:
    with pytest.raises(ArchitraveError, match="no width has as few as 10 numbers: `MLP` of width 1 has 85"):
        dense_twin(mlp, 128, 0.001)


def test_what_indices_take() -> None:
    assert bitmask(1000, 100) == 100 * 4 + 125
    assert csr(10, 100, 100) == 100 * (4 + 1) + 11
    found = sizes(*masked(SMALL))
    assert [layer.nonzeros for layer in found] == [288, 128, 512, 320]
    assert {layer.smallest for layer in found} == {"dense"}
