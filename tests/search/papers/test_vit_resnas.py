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


STAGES = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

model Stages()(image: [N, 1, 5, 5]) -> [N, 3] {
    width = choice width { w2: 2, w4: 4 }
    x = image -> stem: conv2d(width, 3) -> norm: batch_norm -> relu
    x = x -> choice op { one: conv2d(width, 1), three: conv2d(width, 3), skip: identity }
    y = mean(x -> global_avg_pool, axis = -1, keep = true)
    return choice last { same: x -> global_avg_pool, less: (x -> global_avg_pool) - y } -> head: linear(3)
}
"""
SHARED = {"tokens": (FOUND, (5, 6)), "kernels": (slices(IMAGES), (3, 8, 8)), "stages": (slices(STAGES), (1, 5, 5))}


@pytest.mark.parametrize("name", SHARED)
def test_several_members_share_one_pass(name: str) -> None:
    """Each example is computed by a member of its own, masked in what is computed for it."""
    found, shape = SHARED[name]
    rng: Any = np.random.default_rng(2)
    x, weights = rng.standard_normal((6, *shape)), drawn(found)
    each = [found.largest, found.smallest, *(found.costs.space.sample(rng) for _ in range(3))]
    which = rng.permutation([0, 1, 2, 3, 4, 1])
    (outputs,) = architrave.interpret(found.shared(each), [x, which], weights).outputs
    for n, k in enumerate(which):
        alone = output(found.network(each[k]), found.weights(each[k], weights), x[n : n + 1])
        np.testing.assert_allclose(outputs[n : n + 1], alone, rtol=1e-10, atol=1e-10)


def test_what_has_no_examples_is_not_shared() -> None:
    text = """
    from std.linear import linear
    model M()(x: [N, 4]) -> [N, 2] {
        width = choice width { a: 3, b: 5 }
        scale = mean(x)
        return (x -> first: linear(width)) * choice by { same: scale, twice: 2 * scale } -> last: linear(2)
    }
    """
    found = slices(text)
    with pytest.raises(ArchitraveError, match=r"E976.*whose first axis is not that of examples"):
        found.shared([{**found.largest, "by": label} for label in ("same", "twice")])
