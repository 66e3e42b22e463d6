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
    found = Slices(Costs(find("BigNAS"), {"stages": 3, "size": 16, "classes": 3}, {"N": 1}))
    found.check()
    weights, rng = drawn(found), np.random.default_rng(0)
    member = found.costs.space.sample(rng)
    child, masks = found.child(member, weights), found.masks(member)
    x = rng.standard_normal((1, 3, 16, 16))
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


def test_multiply_adds_span_the_space() -> None:
    """From the smallest member on images of 192 pixels to the largest on 320: of 200M to 1000M, and beyond."""
    low, high = (Costs(find("BigNAS"), {"size": size}, {"N": 1}) for size in (192, 320))
    ends = [{path: labels[end] for path, labels in low.space.labels.items()} for end in (0, -1)]
    assert low.of(low.space.decided(ends[0]))["macs"] == 208_488_832
    assert high.of(high.space.decided(ends[1]))["macs"] == 1_851_266_560


def test_input_sizes_share_all_weights() -> None:
    text = IMAGES.replace("image: [N, 3, 8, 8]", "image: [N, 3, 12, 12]").replace(
        "    x = image ->", "    size = choice size { s8: 8, s12: 12 }\n    x = op.resize(image, [size, size]) ->"
    )
    found = slices(text)
    for label in ("s8", "s12"):
        places = found.places({**found.largest, "size": label})
        assert [len(at) for at in places["layer.2.mix.weight"]] == [16, 1, 5, 5]
