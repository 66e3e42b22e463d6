"""random-pruning: Liu and others, "The Unreasonable Effectiveness of Random Pruning" (2022)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.passes import apply
from architrave.sparsity.masks.density import counts
from architrave.sparsity.masks.masked import density, kept, layers, masks
from architrave.sparsity.masks.shuffle import shuffled
from architrave.sparsity.scores.methods import METHODS
from architrave.sparsity.scores.plan import Plan, Task
from architrave.train import AdamW, Dataset, Loop, Objective, Recipe, Schedule, Trainer, run
from tests.sparsify.networks import SMALL, digits, hidden, masked

RATIOS = ("uniform", "er", "erk", "erk+")


def drawn(network: Any, share: float, distribution: str, seed: int = 0, backend: str = "numpy") -> Any:
    graph, weights = masked(network)
    plan = Plan(share, "random", distribution=distribution, seed=seed, backend=backend)
    return graph, METHODS["random"](Task(graph, weights, plan))


@pytest.mark.parametrize("name", ["mlp", "resnet", "vit", "lstm"])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("sparsity", [0.3, 0.5, 0.9, 0.95])
def test_the_whole_network_hits_its_target(name: str, ratio: str, sparsity: float) -> None:
    graph, weights = drawn(digits(name), round(1 - sparsity, 2), ratio)
    found = masks(graph, weights)
    size = sum(mask.size for mask in found.values())
    assert kept(found) == round(size * round(1 - sparsity, 2))
    assert f"{1 - density(found):.1%}" == f"{sparsity:.1%}"
    wanted = counts(layers(graph), round(1 - sparsity, 2), ratio)
    assert {path: int(np.count_nonzero(mask)) for path, mask in found.items()} == wanted


def test_each_weight_of_a_resnet_matches_its_erk_density() -> None:
    graph = apply(architrave.load("resnet50"), "mask").graph
    weights = layers(graph)
    found = counts(weights, 0.1, "erk")
    size = sum(layer.size for layer in weights)
    raw = {layer.path: sum(layer.shape) / math.prod(layer.shape) for layer in weights}
    free = [layer for layer in weights if found[layer.path] < layer.size]
    dense = [layer for layer in weights if found[layer.path] == layer.size]
    epsilon = (round(0.1 * size) - sum(layer.size for layer in dense)) / sum(sum(layer.shape) for layer in free)
    assert sum(found.values()) == round(0.1 * size)
    assert all(abs(found[layer.path] - epsilon * raw[layer.path] * layer.size) < 1 for layer in free)
    assert all(epsilon * raw[layer.path] >= 1 for layer in dense)
    assert dense


def test_the_last_weight_is_dense() -> None:
    graph, weights = drawn(digits("lstm"), 0.1, "erk+")
    assert masks(graph, weights)["head.weight"].all()
    assert not masks(graph, drawn(digits("lstm"), 0.1, "erk")[1])["head.weight"].all()


def test_the_seed_decides_whatever_the_backend() -> None:
    first = masks(*drawn(SMALL, 0.2, "erk", 7))
    for backend in ("numpy", "torch", "jax"):
        again = masks(*drawn(SMALL, 0.2, "erk", 7, backend))
        assert all(np.array_equal(first[path], again[path]) for path in first)
    other = masks(*drawn(SMALL, 0.2, "erk", 8))
    assert any(not np.array_equal(first[path], other[path]) for path in first)
    assert {path: kept({path: m}) for path, m in first.items()} == {path: kept({path: m}) for path, m in other.items()}


def test_positions_are_shuffled_and_ratios_stay() -> None:
    graph, weights = masked(SMALL)
    found = masks(graph, METHODS["magnitude"](Task(graph, weights, Plan(0.2, distribution="er"))))
    moved = shuffled(found, 3)
    for path, mask in found.items():
        assert np.count_nonzero(moved[path]) == np.count_nonzero(mask)
        assert not np.array_equal(moved[path], mask)
    assert all(np.array_equal(moved[path], mask) for path, mask in shuffled(found, 3).items())


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_only_what_survives_learns(backend: str) -> None:
    if backend != "numpy":
        pytest.importorskip(backend)
    graph, weights = drawn(SMALL, 0.1, "erk")
    rng: Any = np.random.default_rng(0)
    data = Dataset((rng.normal(size=(32, 4, 8, 8)).astype(np.float32),), rng.integers(0, 10, 32))
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1)
    trainer = Trainer(graph, recipe, Schedule(1e-2, 10), data.target_type(graph), backend=backend, weights=weights)
    run(trainer, data, Loop(2, 16))
    after = trainer.weights()
    assert all(np.array_equal(mask, masks(graph, after)[path]) for path, mask in masks(graph, weights).items())
    assert not any(part.any() for part in hidden(graph, after).values())
    assert all((after[path] != weights[path])[mask].any() for path, mask in masks(graph, weights).items())
