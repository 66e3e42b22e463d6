"""QuantNAS for super resolution: Shvetsov, Osin and others (2022)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.graph import Graph
from architrave.ir.type_parser import parse_type
from architrave.models import find_in_text
from architrave.passes.search.weighed import weighed
from architrave.search.space.members import Space, taken
from architrave.search.space.table import Terms, total
from architrave.search.supernet.bit_ops import bit_ops, bit_terms
from architrave.search.supernet.child import child
from architrave.search.supernet.differentiable import Differentiable
from architrave.search.supernet.penalties import Penalized, entropy, expected, mixture
from architrave.train import SGD, Adam, Objective, Recipe, Schedule
from tests.search.supernets import drawn

TEXT = """
from std.conv import conv2d
from std.search import deviation_scale, search_bits
from std.spatial import pixel_shuffle
from std.weight import convolve

block quantized(out: int, kernel: int)(x: [N, C, H, W]) -> [N, out, H, W] {
    param weight: [out, C, kernel, kernel] = uniform(-0.3, 0.3)
    return choice bits {
        w4a4: convolve(x -> search_bits(4), weight -> search_bits(4)),
        w4a8: convolve(x -> search_bits(8), weight -> search_bits(4)),
        w8a8: convolve(x -> search_bits(8), weight -> search_bits(8))
    }
}

model Enlarge()(image: [N, 1, H, W]) -> [N, 1, 2 * H, 2 * W] {
    x = image -> head: conv2d(4, 3)
    for i in 0..2 {
        y = x -> choice op[i] { three: quantized(4, 3), one: quantized(4, 1) } -> relu
        x = x + (y -> adq[i]: deviation_scale)
    }
    return x -> tail: conv2d(4, 3) -> pixel_shuffle(2)
}
"""
SIZES = {"N": 1, "H": 6, "W": 6}
RNG: Any = np.random.default_rng(0)
SMALL, LARGE = RNG.normal(size=(3, 1, 6, 6)), RNG.normal(size=(3, 1, 12, 12))
MEMBERS = (
    {"op.0": "three", "op.0.three.bits": "w4a8", "op.1": "one", "op.1.one.bits": "w8a8"},
    {"op.0": "one", "op.0.one.bits": "w4a4", "op.1": "one", "op.1.one.bits": "w4a8"},
)


@cache
def source() -> Graph:
    return find_in_text(TEXT).elaborate({}, keep_choices=True).graph


def test_bit_ops_by_hand() -> None:
    pixels = 36
    ends = pixels * (1 * 4 * 9 + 4 * 4 * 9) * 32 * 32
    three, one = pixels * 4 * 4 * 9, pixels * 4 * 4
    assert bit_ops(source(), SIZES, MEMBERS[0]) == ends + three * 4 * 8 + one * 8 * 8
    assert bit_ops(source(), SIZES, MEMBERS[1]) == ends + one * 4 * 4 + one * 4 * 8
    for member in MEMBERS:
        alone = weighed(source()).member(member)
        assert bit_ops(alone, SIZES) == bit_ops(source(), SIZES, member)


def cost(member: Mapping[str, str]) -> int:
    """The BitOps of a member, by the table of all of them."""
    return total(table(), taken(member))


@cache
def table() -> Terms:
    return bit_terms(source(), SIZES)


def test_two_layers() -> None:
    text = """
    from std.linear import linear
    from std.search import in_bits
    model Two()(x: [N, 10]) {
        param first: [20, 10] = ones
        param second: [3, 20] = ones
        h = relu(op.linear(in_bits(x, 8), in_bits(first, 4)))
        return op.linear(in_bits(h, 4), in_bits(second, 2))
    }
    """
    assert bit_ops(architrave.loads(text), {"N": 5}) == 5 * (10 * 20 * 8 * 4 + 20 * 3 * 4 * 2)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_noise_is_uniform_in_half_a_step(bits: int) -> None:
    text = f"from std.search import search_bits\nmodel Noise()(x: [C]) = x -> search_bits({bits})\n"
    x = RNG.normal(size=40_000)
    step = np.abs(x).max() / (2 ** (bits - 1) - 1)
    graph = architrave.loads(text)
    noise = architrave.interpret(graph, [x], training=True).outputs[0] - x
    assert np.abs(noise).max() <= step / 2 * (1 + 1e-12)
    assert noise.std() == pytest.approx(step / np.sqrt(12), rel=0.02)
    assert abs(noise.mean()) < step / 50
    rounded = architrave.interpret(graph, [x]).outputs[0]
    np.testing.assert_allclose(rounded / step, np.round(rounded / step), rtol=0, atol=1e-9)
    assert np.abs(rounded - x).max() <= step / 2 * (1 + 1e-5)


def test_a_member_is_the_supernet_with_one_hot_weights() -> None:
    """Without the noise of training, that is: a member has noise in other places."""
    found = weighed(source())
    weights = drawn(found.graph)
    for member in MEMBERS:
        held = {**weights, **found.setting(member)}
        cut = child(found, held, member)
        (whole,) = architrave.interpret(found.graph, [SMALL], held).outputs
        (alone,) = architrave.interpret(cut.graph, [SMALL], cut.weights).outputs
        (read,) = architrave.interpret(architrave.loads(cut.text()), [SMALL], cut.weights).outputs
        np.testing.assert_allclose(whole, alone, rtol=0, atol=1e-10)
        np.testing.assert_array_equal(alone, read)
        assert penalties(held)[0] == pytest.approx(0, abs=1e-12)
        assert penalties(held)[1] == pytest.approx(bit_ops(source(), SIZES, member), rel=1e-12)


def penalties(weights: Any) -> tuple[float, float]:
    """The entropy and the expected BitOps of the mixture."""
    found = weighed(source())
    shares = mixture(found.graph, found.labels)
    parts = (entropy(shares), expected(table(), shares))
    graph = build.graph("penalties", [], parts)
    held = {path: weights[path] for path in found.alphas}
    return tuple(float(x) for x in architrave.interpret(graph, [], held).outputs)  # type: ignore[return-value]


def test_penalties_of_a_mixture_are_those_of_its_members_on_average() -> None:
    found = weighed(source())
    weights = {path: RNG.normal(size=w.shape) for path, w in architrave.init(found.graph, 0).items() if "alpha" in path}
    shares = found.weights(weights)
    space = Space.of(find_in_text(TEXT), {})
    assert space.size == 36
    wanted = 0.0
    for member in space:
        chance = np.prod([shares[path][label] for path, label in member.items()])
        wanted += float(chance) * cost(member)
    surprise = -sum(p * np.log(p) for decision in shares.values() for p in decision.values())
    assert penalties(weights) == pytest.approx((surprise, wanted), rel=1e-9)


def test_the_deviation_of_a_branch() -> None:
    text = "from std.search import deviation_scale\nmodel D()(x: [N, C, L]) = x -> adq: deviation_scale\n"
    graph = architrave.loads(text)
    x = RNG.normal(size=(4, 3, 50)) * np.array([0.1, 1, 2, 7])[:, None, None]
    weights = {"adq.weight": np.zeros(()), "adq.bias": np.zeros(())}
    np.testing.assert_array_equal(architrave.interpret(graph, [x], weights).outputs[0], x)
    weights = {"adq.weight": np.asarray(-1.0), "adq.bias": np.log(3.0)}
    (y,) = architrave.interpret(graph, [x], weights).outputs
    np.testing.assert_allclose(y.std(axis=(1, 2)), 3, rtol=1e-5)


def test_search_decides_for_what_is_cheap() -> None:
    found = weighed(source())
    plain = Recipe(SGD(), Objective("l1"))
    objective = Penalized("l1", supernet=found, entropy=0.05, cost=1.0, terms=table(), unit=1e5)
    search = Recipe(Adam(), objective)
    rates = Schedule(1e-2, 40), Schedule(0.2, 40)
    trainer = Differentiable(found, plain, rates[0], search, rates[1], parse_type("[N, 1, 2 * H, 2 * W]"))
    before = penalties(trainer.weights())
    for _ in range(40):
        trainer.train((SMALL, LARGE), (SMALL, LARGE))
    after = penalties(trainer.weights())
    assert after[0] < 0.5 * before[0]
    assert after[1] < before[1]
    member = Space.of(find_in_text(TEXT), {}).decided(trainer.derived())
    assert bit_ops(source(), SIZES, member) == min(
        bit_ops(source(), SIZES, m) for m in Space.of(find_in_text(TEXT), {})
    )
