"""One supernet of width, depth, kernels and input size, whose members are slices: Yu and others (2020)."""

from __future__ import annotations

from typing import Any

import numpy as np

from architrave.models import find
from architrave.search.space.costs import Costs
from architrave.search.supernet.nested import Sandwich
from architrave.search.supernet.slices import Slices
from tests.search.elastic import IMAGES, drawn, output, slices

FOUND = slices(IMAGES)
WEIGHTS = drawn(FOUND)


def test_the_standard_space_is_one_of_slices() -> None:
    found = Slices(Costs(find("BigNAS"), {"stages": 3, "size": 20, "classes": 3}, {"N": 1}))
    found.check()
    weights, rng = drawn(found), np.random.default_rng(0)
    member = found.costs.space.sample(rng)
    child, masks = found.child(member, weights), found.masks(member)
    x = rng.standard_normal((1, 3, 20, 20))
    masked = output(found.masked(member), {path: w * masks[path] for path, w in weights.items()}, x)
    np.testing.assert_allclose(output(child.graph, dict(child.weights), x), masked, rtol=1e-10, atol=1e-10)


def test_an_extracted_child_equals_the_supernet_in_that_configuration() -> None:
    rng: Any = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 8, 8))
    for member in [FOUND.smallest, *(FOUND.costs.space.sample(rng) for _ in range(4))]:
        child = FOUND.child(member, WEIGHTS)
        masks = FOUND.masks(member)
        masked = output(FOUND.masked(member), {path: w * masks[path] for path, w in WEIGHTS.items()}, x)
        np.testing.assert_allclose(output(child.graph, dict(child.weights), x), masked, rtol=1e-10, atol=1e-10)


def test_weights_of_the_smallest_are_first_channels_and_centres_of_kernels() -> None:
    child = FOUND.child(FOUND.smallest, WEIGHTS)
    for path, w in child.weights.items():
        large = WEIGHTS[path]
        first = large[tuple(slice(size) for size in w.shape[:2])]
        around = [(a - b) // 2 for a, b in zip(large.shape[2:], w.shape[2:], strict=True)]
        centre = (..., *(slice(edge, size - edge) for edge, size in zip(around, large.shape[2:], strict=True)))
        np.testing.assert_array_equal(w, first[centre] if around else first)
    assert child.weights["layer.0.mix.weight"].shape == (4, 1, 3, 3)
    assert WEIGHTS["layer.0.mix.weight"].shape == (16, 1, 5, 5)


def test_each_step_trains_the_largest_and_the_smallest() -> None:
    rng: Any = np.random.default_rng(0)
    for _ in range(3):
        members = Sandwich(2)(FOUND, rng)
        assert members[:2] == [FOUND.largest, FOUND.smallest]
        assert len(members) == 4


# Parameters and multiply-adds of BigNASModel-S to -XL, in millions: the paper says no more of their decisions.
MODELS = [(4.5, 242), (5.5, 418), (6.4, 586), (9.5, 1_040)]


def test_the_space_spans_the_published_models() -> None:
    """From the smallest member, on images of 192 pixels, to the largest on 320: of 200M to 1000M, and beyond."""
    costs = Costs(find("BigNAS"), {}, {"N": 1})
    ends = [costs.of({path: labels[end] for path, labels in costs.space.labels.items()}) for end in (0, -1)]
    assert [(end["params"], end["macs"]) for end in ends] == [(3_747_412, 206_739_328), (10_892_790, 1_843_030_528)]
    for params, macs in MODELS:
        assert ends[0]["params"] <= params * 1e6 <= ends[1]["params"]
        assert ends[0]["macs"] <= macs * 1e6 <= ends[1]["macs"]


def test_input_sizes_share_all_weights() -> None:
    found = Slices(Costs(find("BigNAS"), {"unit": 1, "stages": 2, "size": 20}, {"N": 1}))
    given = drawn(found)
    whole = found.weights(found.largest, given)
    for side in found.costs.space.labels["side"]:
        weights = found.weights({**found.largest, "side": side}, given)
        assert all((weights[path] == whole[path]).all() for path in whole)
