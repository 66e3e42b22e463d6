"""Masks in the ordinary loop: schedules, what stays 0, all backends and optimizers, runs that are cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.sparsity.learning.training import Gradually, assign
from architrave.sparsity.masks.masked import density, kept, masks
from architrave.sparsity.masks.pattern import NM, Block, Pattern, Unstructured
from architrave.sparsity.masks.schedules import Gradual
from architrave.sparsity.scores.plan import Plan
from architrave.train import OPTIMIZERS, Dataset, Folder, Loop, Objective, Recipe, Schedule, Trainer, optimizer, run
from tests.sparsify.networks import SMALL, hidden, masked


def examples(count: int = 64) -> Dataset:
    draws: Any = np.random.default_rng(0)
    return Dataset((draws.normal(size=(count, 4, 8, 8)).astype(np.float32),), draws.integers(0, 10, count))


def trainer(
    graph: Graph, weights: dict[str, Any], name: str = "adamw", backend: str = "numpy", **recipe: Any
) -> Trainer:
    data = examples()
    made = Recipe(optimizer(name), Objective("cross_entropy"), decay=0.1, **recipe)
    return Trainer(graph, made, Schedule(1e-2, 100), data.target_type(graph), backend=backend, weights=weights)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_masked_stays_zero_under_every_optimizer(name: str) -> None:
    graph, weights = masked(SMALL)
    made = trainer(graph, weights, name)
    run(made, examples(), Loop(2, 16, refresh=[Gradually(Plan(0.2), Gradual.at_once(0.2, 3))]))
    found = masks(graph, made.weights())
    assert density(found) == pytest.approx(0.2, abs=1e-3)
    assert not any(part.any() for part in hidden(graph, made.weights()).values())
    assert all((made.weights()[path] != weights[path]).any() for path in found)


@pytest.mark.parametrize("recipe", [{"accumulate": 2}, {"mixed": True}])
def test_other_recipes_keep_zeros(recipe: dict[str, Any]) -> None:
    graph, weights = masked(SMALL)
    made = trainer(graph, weights, **recipe)
    run(made, examples(), Loop(2, 16, refresh=[Gradually(Plan(0.2), Gradual(0.2, 1, 2, 2))]))
    assert density(masks(graph, made.weights())) == pytest.approx(0.2, abs=1e-3)
    assert not any(part.any() for part in hidden(graph, made.weights()).values())


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_backends_choose_the_same_masks(backend: str) -> None:
    pytest.importorskip(backend)
    found = []
    for name in ("numpy", backend):
        graph, weights = masked(SMALL)
        made = trainer(graph, weights, "sgd", name)
        run(made, examples(), Loop(1, 16, refresh=[Gradually(Plan(0.2, distribution="erk"), Gradual(0.2, 0, 2, 2))]))
        found.append((made.weights(), masks(graph, made.weights())))
    (ours, first), (theirs, second) = found
    assert all(np.array_equal(first[path], second[path]) for path in first)
    assert all(np.allclose(ours[path], theirs[path], atol=1e-5) for path in ours)


@pytest.mark.parametrize(
    ("shape", "share", "shares"),
    [
        (Unstructured(), 0.125, (0.4937, 0.2344, 0.1387, 0.125)),
        (Block(2, 1), 0.25, ()),
        (NM(2, 4), 0.5, (0.75, 0.75, 0.75, 0.5)),
    ],
)
def test_a_network_gets_sparser_step_by_step(shape: Pattern | NM, share: float, shares: tuple[float, ...]) -> None:
    graph, weights = masked(SMALL)
    made, seen = trainer(graph, weights), list[float]()
    gradually = Gradually(Plan(share, pattern=shape), Gradual(share, 0, 1, 4))

    def look(step: int, loss: float) -> None:
        seen.append(density(masks(graph, made.weights())))

    run(made, examples(), Loop(2, 16, refresh=[gradually], on_step=look))
    assert seen[3:] == [pytest.approx(share, abs=1e-3)] * len(seen[3:])
    assert seen[: len(shares)] == pytest.approx(shares, abs=2e-3)
    assert seen == sorted(seen, reverse=True)


def test_masks_before_the_first_step() -> None:
    graph, weights = masked(SMALL)
    made = trainer(graph, weights)
    gradually = Gradually(Plan(0.1, "random"), Gradual.at_once(0.1))
    gradually.start(made)
    first = masks(graph, made.weights())
    run(made, examples(), Loop(2, 16, refresh=[gradually]))
    assert kept(first) == round(0.1 * sum(mask.size for mask in first.values()))
    assert all(np.array_equal(first[path], mask) for path, mask in masks(graph, made.weights()).items())


def test_a_run_that_is_cut_off_goes_on_with_its_masks(tmp_path: Path) -> None:
    graph, weights = masked(SMALL)
    gradually = Gradually(Plan(0.1, distribution="global"), Gradual(0.1, 1, 2, 4))
    whole = trainer(graph, weights)
    run(whole, examples(), Loop(4, 16, refresh=[gradually]))
    cut = trainer(graph, weights)
    run(cut, examples(), Loop(1, 16, refresh=[gradually], checkpoints=Folder(tmp_path)))
    again = trainer(graph, weights)
    run(again, examples(), Loop(4, 16, refresh=[gradually], checkpoints=Folder(tmp_path)), resume=True)
    assert all(np.array_equal(whole.states()[path], w) for path, w in again.states().items())


def test_masks_that_do_not_fit_change_nothing() -> None:
    graph, weights = masked(SMALL)
    made = trainer(graph, weights)
    with pytest.raises(ArchitraveError, match="E924"):
        assign(made, {**weights, "head.weight_mask": np.ones((10, 3), bool)})
    network = architrave.loads(SMALL)
    plain = trainer(network, architrave.init(network))
    with pytest.raises(ArchitraveError, match="no weight of `Small` has a mask"):
        assign(plain, plain.weights())
    assert all(np.array_equal(made.states()[path], w) for path, w in weights.items())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0.0, 0, 1, 1), "the density at the end is above 0"),
        ((0.5, -1, 1, 1), "takes 0 or more for `begin`, not -1"),
        ((0.5, 0, 0, 1), "takes 1 or more for `every`, not 0"),
        ((0.5, 0, 1, 0), "takes 1 or more for `updates`, not 0"),
        ((0.5, 0, 1, 1, 0.2), "cannot fall from 0.2 to 0.5"),
    ],
)
def test_what_is_no_schedule(given: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ArchitraveError, match=said) as caught:
        Gradual(*given)
    assert caught.value.diagnostics[0].code == "E925"


def test_trained_masks_bake() -> None:
    graph, weights = masked(SMALL)
    made = trainer(graph, weights)
    run(made, examples(), Loop(1, 16, refresh=[Gradually(Plan(0.3), Gradual.at_once(0.3, 2))]))
    plain = apply(graph, "bake-masks").weights(made.weights())
    architrave.weights.fit(plain, architrave.loads(SMALL))
    assert all(np.array_equal(plain[path], made.weights()[path]) for path in plain)
