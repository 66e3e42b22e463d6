"""Channels in an order in which N:M leaves more, of the same function."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.sparsity.masks.pattern import NM, Unstructured
from architrave.sparsity.masks.permute import leaves, permuted, search
from architrave.sparsity.scores.one_shot import sparsify
from architrave.sparsity.scores.plan import Plan
from tests.sparsify.networks import SMALL, digits

rng: Any = np.random.default_rng(0)


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (3, 4)])
def test_the_search_comes_near_to_the_best_order(n: int, m: int) -> None:
    for _ in range(5):
        magnitudes = np.abs(rng.normal(size=(6, 8)))
        halves = ([*half, *set(range(8)) - set(half)] for half in itertools.combinations(range(8), 4))
        best = max(leaves(magnitudes[:, half], n, m) for half in halves)
        order = search(magnitudes, n, m)
        start, end = (leaves(magnitudes[:, o], n, m) for o in (np.arange(8), order))
        assert sorted(order) == list(range(8))
        assert end >= start + 0.8 * (best - start) - 1e-9


def test_columns_that_fit_are_found() -> None:
    fitting = np.tile(np.array([1.0, 1, 0, 0]), (16, 8)) * np.abs(rng.normal(size=(16, 32)))
    mixed = fitting[:, np.argsort(fitting.sum(0) == 0, kind="stable")]
    assert leaves(mixed, 2, 4) < 0.8 * mixed.sum()
    assert leaves(mixed[:, search(mixed, 2, 4)], 2, 4) == pytest.approx(mixed.sum(), rel=1e-12)


@pytest.mark.parametrize("name", ["mlp", "resnet", "vit", "lstm", SMALL])
def test_the_function_stays_and_more_is_left(name: str) -> None:
    network = digits(name) if name != SMALL else architrave.loads(SMALL)
    weights = {path: rng.normal(size=w.shape) for path, w in architrave.init(network).items()}
    weights = {path: np.abs(w) if "running_var" in path else w for path, w in weights.items()}
    new, made = permuted(network, weights, NM(2, 4))
    x = rng.normal(size=(2, *network.inputs[0].shape[1:]))
    (before,), (after,) = (interpret(network, [x], w).outputs for w in (weights, new))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-12 * abs(before).max())
    assert made
    assert all(each.after > each.before for each in made)


def test_inputs_keep_their_order() -> None:
    network = architrave.loads(SMALL)
    _, made = permuted(network, architrave.init(network), NM(2, 4))
    assert {each.group for each in made} <= {"conv1.weight:0", "conv2.weight:0", "fc.weight:0"}


def test_more_is_left_of_a_network() -> None:
    network = architrave.loads(SMALL)
    weights = architrave.init(network)
    left = []
    for permute in (False, True):
        found = sparsify(network, weights, Plan(pattern=NM(2, 4), permute=permute))
        assert found.density == 0.5
        left.append(sum(float(np.abs(w).sum()) for w in found.weights.values()))
    assert left[1] > left[0]


def test_only_patterns_along_inputs_gain_by_it() -> None:
    network = architrave.loads(SMALL)
    with pytest.raises(ArchitraveError, match="E926"):
        sparsify(network, architrave.init(network), Plan(0.5, pattern=Unstructured(), permute=True))
