"""Members as slices of the largest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.cost import parameters
from architrave.ir.source import ArchitraveError
from architrave.search.supernet.slices import Slices
from tests.search.elastic import IMAGES, TOKENS, drawn, output, slices

SPACES = {"images": (slices(IMAGES), (2, 3, 8, 8)), "tokens": (slices(TOKENS), (2, 5, 6))}


@pytest.mark.parametrize("name", SPACES)
def test_the_largest_holds_every_member(name: str) -> None:
    found, _ = SPACES[name]
    found.check()
    largest, smallest = (found.costs.of(member)["params"] for member in (found.largest, found.smallest))
    rng: Any = np.random.default_rng(0)
    others = [found.costs.of(found.costs.space.sample(rng))["params"] for _ in range(20)]
    assert smallest <= min(others) < max(others) <= largest == parameters(found.graph)


@pytest.mark.parametrize("name", SPACES)
def test_a_member_cut_out_equals_the_masked_supernet(name: str) -> None:
    found, shape = SPACES[name]
    weights = drawn(found)
    rng: Any = np.random.default_rng(1)
    x = rng.standard_normal(shape)
    for member in [found.largest, found.smallest, *(found.costs.space.sample(rng) for _ in range(6))]:
        child = output(found.network(member), found.weights(member, weights), x)
        masks = found.masks(member)
        masked = output(found.masked(member), {path: w * masks[path] for path, w in weights.items()}, x)
        np.testing.assert_allclose(child, masked, rtol=1e-10, atol=1e-10)


def test_what_a_member_learned_is_written_back() -> None:
    found, _ = SPACES["tokens"]
    weights = drawn(found)
    member = found.costs.space.sample(np.random.default_rng(3))
    mine = found.weights(member, weights)
    learned = {path: w + 1 for path, w in mine.items()}
    after = found.written(member, learned, weights)
    masks = found.masks(member)
    for path, w in weights.items():
        np.testing.assert_array_equal(after[path], np.where(masks[path], w + 1, w))
    zeros = {path: np.zeros_like(w) for path, w in weights.items()}
    total = found.added(member, mine, found.added(member, mine, zeros))
    for path, w in weights.items():
        np.testing.assert_array_equal(total[path], np.where(masks[path], 2 * w, 0))


def test_heads_are_the_first_of_queries_keys_and_values() -> None:
    found, _ = SPACES["tokens"]
    member = {**found.largest, "heads.0": "h2"}
    (rows, columns) = found.places(member)["layer.0.attention.qkv.weight"]
    assert rows.tolist() == [*range(8), *range(12, 20), *range(24, 32)]
    assert columns.tolist() == [*range(16)]


def test_choices_of_stages_are_kept() -> None:
    text = """
from std.linear import linear
model M()(x: [N, 4]) -> [N, 2] {
    width = choice width { narrow: 3, wide: 5 }
    x = x -> first: linear(width) -> choice then { bent: relu, mixed: linear(width) }
    return x -> last: linear(2)
}
"""
    found = slices(text)
    weights, x = drawn(found), np.ones((1, 4))
    assert weights["then.mixed.weight"].shape == (5, 5)
    for member in found.costs.space:
        masks = found.masks(member)
        masked = output(found.masked(member), {path: w * masks[path] for path, w in weights.items()}, x)
        child = output(found.network(member), found.weights(member, weights), x)
        np.testing.assert_allclose(child, masked, rtol=1e-12)


def test_the_extracted_member_is_plain_text() -> None:
    found, shape = SPACES["images"]
    weights = drawn(found)
    member = found.smallest
    child = found.child(member, weights)
    assert "choice" not in child.text()
    x = np.random.default_rng(0).standard_normal(shape)
    again = output(architrave.loads(child.text()), dict(child.weights), x)
    np.testing.assert_array_equal(again, output(child.graph, dict(child.weights), x))


CUT = {
    "E975: is no slice of the largest one's": (
        "model M()(x: [N, 3, 9]) { k = choice k { a: 2, b: 3 } \n return x -> c: conv1d(4, k, padding = 0) }"
    ),
    "E975: none of the largest one": (
        "model M()(x: [N, 3, 9]) { n = choice n { a: 1, b: 2 }\n"
        "return if n == 2 { x -> c: conv1d(6, 3) } else { x -> d: conv1d(4, 3) } }"
    ),
}


@pytest.mark.parametrize("wanted", CUT)
def test_what_is_no_slice_is_refused(wanted: str) -> None:
    code, message = wanted.split(": ")
    with pytest.raises(ArchitraveError, match=message) as caught:
        slices(f"from std.conv import conv1d\n{CUT[wanted]}\n").check()
    assert caught.value.diagnostics[0].code == code


def test_a_dimension_that_is_several_has_no_mask() -> None:
    text = """
from std.linear import linear
model M()(x: [N, 4]) -> [N, 2] {
    width = choice width { a: 3, b: 5 }
    x = x -> first: linear(5)
    y = x -> second: linear(width)
    return (if width == 5 { x + y } else { y }) -> last: linear(2)
}
"""
    found = slices(text)
    member = {"width": "a"}
    assert found.weights(member, drawn(found))["last.weight"].shape == (2, 3)
    with pytest.raises(ArchitraveError, match="one dimension of the largest member"):
        found.masked(member)


def test_the_largest_can_be_given() -> None:
    found = Slices(SPACES["images"][0].costs, SPACES["images"][0].smallest)
    with pytest.raises(ArchitraveError, match=r"is no slice|none of the largest"):
        found.check()
