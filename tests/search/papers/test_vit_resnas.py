"""Vision transformers whose members are masks: Liao, Karaman and Sze (2021)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.choice import choices
from architrave.ir.mode import specialize
from architrave.ir.source import ArchitraveError
from architrave.search.space.feasible import Feasible
from architrave.search.supernet.slices import Slices
from tests.search.elastic import IMAGES, TOKENS, drawn, output, slices
from tests.search.spaces import costs

FOUND = slices(TOKENS)
WEIGHTS = drawn(FOUND)


def members(count: int) -> list[dict[str, str]]:
    rng: Any = np.random.default_rng(0)
    return [FOUND.costs.space.sample(rng) for _ in range(count)]


def test_a_member_is_the_masked_supernet_only_where_norms_skip_masked_channels() -> None:
    x = np.random.default_rng(1).standard_normal((2, 5, 6))
    plain = specialize(FOUND.graph, training=False)
    assert not choices(plain)
    for member in [FOUND.smallest, *members(4)]:
        child = output(FOUND.network(member), FOUND.weights(member, WEIGHTS), x)
        masks = FOUND.masks(member)
        masked = {path: w * masks[path] for path, w in WEIGHTS.items()}
        np.testing.assert_allclose(output(FOUND.masked(member), masked, x), child, rtol=1e-10, atol=1e-10)
        naive = np.abs(output(plain, masked, x) - child).max()
        # With all channels active there is nothing to skip.
        assert (naive > 1e-2) == (member["width"] != FOUND.largest["width"])


def test_the_standard_space_is_one_of_slices() -> None:
    """Though the channels of its stages are chosen one by one, and each stage adds to what the one before gave."""
    found = Slices(costs("ViTResNAS"))
    weights, rng = drawn(found), np.random.default_rng(0)
    x = rng.standard_normal((1, 3, 16, 16))
    for member in (found.costs.space.sample(rng) for _ in range(2)):
        child, masks = found.child(member, weights), found.masks(member)
        masked = output(found.masked(member), {path: w * masks[path] for path, w in weights.items()}, x)
        np.testing.assert_allclose(output(child.graph, dict(child.weights), x), masked, rtol=1e-10, atol=1e-10)


def test_what_is_found_keeps_the_limit_on_multiply_adds() -> None:
    limited = slices(TOKENS.replace("x = x -> embed", "constraint macs <= 6e3\n    x = x -> embed"))
    feasible = Feasible(limited.costs)
    rng: Any = np.random.default_rng(0)
    found = [feasible.sample(rng) for _ in range(4)]
    assert all(limited.costs.of(member)["macs"] <= 6_000 for member in found)
    assert limited.costs.of(limited.largest)["macs"] > 6_000


def test_several_members_share_one_pass() -> None:
    """Each example is computed by a member of its own, masked in what is computed for it."""
    rng: Any = np.random.default_rng(2)
    x = rng.standard_normal((6, 5, 6))
    drawn_members = [FOUND.largest, FOUND.smallest, *members(3)]
    which = rng.permutation([0, 1, 2, 3, 4, 1])
    shared = FOUND.shared(drawn_members)
    (found,) = architrave.interpret(shared, [x, which], WEIGHTS).outputs
    for n, k in enumerate(which):
        member = drawn_members[k]
        alone = output(FOUND.network(member), FOUND.weights(member, WEIGHTS), x[n : n + 1])
        np.testing.assert_allclose(found[n : n + 1], alone, rtol=1e-10, atol=1e-10)


def test_kernels_are_the_same_for_all_examples_of_a_pass() -> None:
    found = slices(IMAGES)
    with pytest.raises(ArchitraveError, match="is a kernel"):
        found.shared([found.largest, found.smallest])
