"""Masks from scores: the highest stay, in patterns."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from architrave.ir.source import ArchitraveError
from architrave.sparsity.masks.masked import density, kept, layers
from architrave.sparsity.masks.pattern import NM, Block, Unstructured, n_of_m, pattern
from architrave.sparsity.masks.selection import largest, select
from architrave.sparsity.masks.sizes import few_of, measured
from tests.sparsify.networks import SMALL, digits, masked

rng: Any = np.random.default_rng(0)


def scored(seed: int = 0) -> tuple[list[Any], dict[str, Any]]:
    """The layers of a small network, and scores."""
    draws: Any = np.random.default_rng(seed)
    found = layers(masked(SMALL)[0])
    return found, {layer.path: draws.normal(size=layer.shape) for layer in found}


@pytest.mark.parametrize("count", [0, 1, 7, 23, 24])
def test_the_highest_stay(count: int) -> None:
    scores = rng.permutation(24).reshape(4, 6).astype(float)
    assert set(scores[largest(scores, count)]) == set(range(24 - count, 24))


def test_of_equal_scores_the_first_stay() -> None:
    assert largest(np.array([1.0, 2, 1, 1, 2, -np.inf]), 3).tolist() == [True, True, False, False, True, False]
    assert largest(np.zeros((2, 3)), 4).tolist() == [[True] * 3, [True, False, False]]


def test_scores_of_all_weights_may_compete() -> None:
    found, scores = scored()
    made = select(found, scores, 0.3, distribution="global")
    every = np.concatenate([s.ravel() for s in scores.values()])
    least = np.sort(every)[-round(0.3 * every.size)]
    assert all(np.array_equal(made[path], scores[path] >= least) for path in scores)


@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (2, 1), (4, 1), (2, 2), (1, 4)])
@pytest.mark.parametrize("distribution", ["uniform", "erk", "global"])
def test_blocks_stay_or_go_as_a_whole(outputs: int, inputs: int, distribution: str) -> None:
    found, scores = scored()
    shape = Block(outputs, inputs)
    fitting = [layer for layer in found if shape.refusal(layer) is None]
    made = select(fitting, scores, 0.25, shape, distribution)
    size = sum(layer.size for layer in fitting)
    assert kept(made) == round(0.25 * size / (outputs * inputs)) * outputs * inputs
    for mask in made.values():
        blocks = mask.reshape(mask.shape[0] // outputs, outputs, mask.shape[1] // inputs, inputs, -1)
        assert (blocks == blocks[:, :1, :, :1]).all()


def test_blocks_are_chosen_by_what_they_hold_together() -> None:
    found, _ = scored()
    head = next(layer for layer in found if layer.path == "head.weight")
    scores = np.zeros((10, 32))
    scores[0, 0], scores[2:4, 5] = 3, 2
    made = select([head], {head.path: scores}, 2 / 320, Block(2, 1))
    assert np.argwhere(made[head.path]).tolist() == [[2, 5], [3, 5]]


@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 4), (1, 4), (3, 4), (2, 8), (4, 4)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_so_many_of_each_few_stay(n: int, m: int, axis: int) -> None:
    scores = rng.normal(size=(8, 16, 24))
    mask = n_of_m(scores, n, m, axis)
    groups = np.moveaxis(mask, axis, -1).reshape(-1, m)
    assert (groups.sum(1) == n).all()
    held = np.moveaxis(scores, axis, -1).reshape(-1, m)
    assert (np.where(groups, held, np.inf).min(1) >= np.where(groups, -np.inf, held).max(1)).all()


def test_groups_lie_along_the_inputs_of_kernels() -> None:
    found, scores = scored()
    made = select(found, scores, 0.5, NM(2, 4))
    assert density(made) == 0.5
    assert (made["conv1.weight"].sum(1) == 2).all()
    assert (made["head.weight"].reshape(10, 8, 4).sum(2) == 2).all()


def test_gates_of_recurrent_networks_have_patterns_too() -> None:
    found = layers(masked(digits("lstm"))[0])
    scores = {layer.path: rng.random(layer.shape) for layer in found}
    assert density(select(found, scores, 0.5, NM(2, 4))) == 0.5


@pytest.mark.parametrize("text", ["unstructured", "2:4", "1:16", "block:4x1", "block:16x16"])
def test_patterns_read_back(text: str) -> None:
    assert str(pattern(text)) == text


@pytest.mark.parametrize("text", ["", "4:2", "0:4", "2:4:8", "block:4", "block:0x1", "block:-1x2", "99999999:4"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ArchitraveError) as caught:
        pattern(text)
    assert caught.value.diagnostics[0].code == "E926"


@pytest.mark.parametrize(
    ("change", "shape", "code", "said"),
    [
        ({"head.weight": np.full((10, 32), np.nan)}, Unstructured(), "E927", "`head.weight` is not a number"),
        ({"head.weight": np.zeros((10, 31))}, Unstructured(), "E924", "are [10, 31], not [10, 32]"),
        ({"head.weight": None}, Unstructured(), "E924", "the scores of `head.weight` are missing"),
        ({}, NM(2, 5), "E926", "5 does not divide its 4 inputs"),
        ({}, Block(3, 1), "E926", "blocks of 3x1 do not divide 8 outputs and 4 inputs"),
    ],
)
def test_what_cannot_be_selected(change: dict[str, Any], shape: Any, code: str, said: str) -> None:
    found, scores = scored()
    given = {path: s for path, s in {**scores, **change}.items() if s is not None}
    with pytest.raises(ArchitraveError, match=re.escape(said)) as caught:
        select(found, given, 0.5, shape)
    assert caught.value.diagnostics[0].code == code
    with pytest.raises(ArchitraveError, match="takes an axis of a multiple of 5"):
        n_of_m(np.zeros((2, 4)), 2, 5)


def test_what_formats_take() -> None:
    weight = np.zeros((16, 64), np.float32)
    weight[:, ::4] = 1
    found = measured("w", weight, layers(masked(SMALL)[0])[2].axes)
    assert (found.nonzeros, found.density, found.dense) == (256, 0.25, 4096)
    assert found.bitmask == 256 * 4 + 1024 // 8
    assert found.csr == 256 * (4 + 1) + 17 * 2, "columns take a byte, where rows begin takes two"
    assert (found.few, found.nm) == ((1, 4), (256 * (32 + 2)) // 8)
    assert found.smallest == "1:4"
    assert few_of(np.ones((4, 8)), 1) is None
    wide = measured("w", np.eye(4, 1000))
    assert (wide.csr, wide.few, wide.smallest) == (4 * (4 + 2) + 5, None, "csr")
