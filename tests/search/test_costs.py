"""What members cost without being built is what they cost when they are."""

from __future__ import annotations

import numpy as np
import pytest

from architrave.ir import cost
from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from architrave.search.space.costs import Costs
from tests.search.spaces import SPACES, costs
from tests.search.test_space import NESTED

SHARED = """
from std import batch_norm, linear
model Shared()(x: [N, 4]) -> [N, 4] {
    f = linear(4)
    g = sequential([linear(6), batch_norm, linear(4)])
    a = choice a { f: f, g: g, none: identity }
    b = choice b { f: f, g: g }
    return x -> a -> b -> a
}
"""
UNUSED = """
from std import linear
block Both()(x: [N, C]) -> [N, C] {
    param unused: [7] = zeros
    y = x -> heavy: linear(C)
    return choice pick { light: x, heavy: y }
}
model Unused()(x: [N, 4]) -> [N, 4] = x -> Both
"""
DEAD = """
from std import linear
block Layer()(x: [N, C]) -> [N, C] = x -> linear(C) -> relu -> linear(C)
model Dead()(x: [N, 4]) -> [N, 4] {
    shared = linear(4)
    wide = choice wide { yes: 8, no: 4 }
    y = x -> choice a { big: Layer, shared: shared, none: identity } -> linear(wide) -> linear(4)
    z = y -> choice b { big: Layer, deep: sequential([Layer, choice inner { shared: shared, none: identity }]) }
    return x -> choice c { one: linear(4), two: identity }
}
"""
"""Two of three choices that the result does not depend on: what they declare is there all the same."""
TEXTS = {"nested": NESTED, "shared": SHARED, "unused": UNUSED, "dead": DEAD}


def assert_costs_are_those_of_the_graph(found: Costs, member: dict[str, str]) -> None:
    graph = found.member_graph(member)
    built = {
        "params": cost.parameters(graph),
        "state": cost.state(graph),
        "macs": cost.multiply_adds(graph, {"N": 1}),
    }
    assert found.of(member) == built, member


@pytest.mark.parametrize("name", SPACES)
def test_costs_of_standard_spaces(name: str) -> None:
    found, rng = costs(name), np.random.default_rng(0)
    for _ in range(3):
        assert_costs_are_those_of_the_graph(found, found.space.sample(rng))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_costs_of_every_member(text: str) -> None:
    found = Costs(find_in_text(text), {}, {"N": 1})
    rng = np.random.default_rng(0)
    for number in rng.permutation(found.space.size)[:40]:
        assert_costs_are_those_of_the_graph(found, found.space.member(int(number)))


def test_ranges_are_those_of_all_members() -> None:
    for found in (Costs(find_in_text(NESTED), {}, {"N": 1}), costs("PoolingSpace")):
        everything = [found.of(member) for member in found.space]
        for quantity in ("params", "state", "macs"):
            amounts = [of[quantity] for of in everything]
            assert found.range(quantity) == (min(amounts), max(amounts))


def test_counts_of_nas_bench_201() -> None:
    found = Costs(costs("NASBench201").named, {}, {"N": 1})
    assert found.range("params") == (73_306, 1_531_546)
    params = {found.table(member).cost("params", member) for member in found.space}
    assert len(params) == 28
    assert (min(params), max(params)) == (73_306, 1_531_546)


def test_sizes_that_are_not_given() -> None:
    found = Costs(find_in_text(NESTED))
    with pytest.raises(ArchitraveError, match="E330"):
        found.of(found.space.member(0))


def test_costs_that_no_sum_can_bound() -> None:
    found = Costs(find_in_text(SHARED), {}, {"N": 1})
    with pytest.raises(ArchitraveError, match=r"E953[\s\S]*`a`, `b`"):
        found.range("params")


def test_too_many_numbers() -> None:
    factors = " * ".join(f"(choice c[{i}] {{ a: 1, b: 2 }})" for i in range(13))
    with pytest.raises(ArchitraveError, match="E953"):
        Costs(find_in_text(f"model M()(x: [4]) = x * {factors}")).range("macs")
