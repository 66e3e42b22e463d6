"""The algebra of sizes agrees with integers, whatever the symbols stand for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from architrave.ir import dims
from architrave.ir.dims import Size, ceil_div, divide, floor_div, substitute, symbol, symbols, unify
from architrave.ir.type_parser import parse_type

N, H, W = symbol("N"), symbol("H"), symbol("W")

sizes: st.SearchStrategy[Size] = st.recursive(
    st.one_of(st.integers(-9, 9), st.sampled_from([N, H, W])),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, st.integers(-3, 3)).map(lambda p: p[0] * p[1]),
        st.tuples(inner, st.integers(1, 6)).map(lambda p: floor_div(p[0], p[1])),
    ),
    max_leaves=8,
)
bindings = st.fixed_dictionaries({name: st.integers(1, 40) for name in "NHW"})


@given(sizes, sizes, bindings)
def test_operations_commute_with_binding(a: Size, b: Size, bound: dict[str, Any]) -> None:
    x, y = substitute(a, bound), substitute(b, bound)
    assert isinstance(x, int)
    assert isinstance(y, int)
    assert substitute(a + b, bound) == x + y
    assert substitute(a - b, bound) == x - y
    assert substitute(a * b, bound) == x * y
    for divisor in (1, 2, 3, 7):
        assert substitute(floor_div(a, divisor), bound) == x // divisor
        assert substitute(ceil_div(a, divisor), bound) == -(-x // divisor)


@given(sizes, st.integers(1, 6))
def test_exact_division_undoes_multiplication(a: Size, k: int) -> None:
    assert divide(a * k, k) == a
    assert divide(a * N, N) == a


@given(sizes)
def test_equal_sizes_are_equal_objects(a: Size) -> None:
    assert a - a == 0
    assert a + H == H + a
    assert hash(a + N - N) == hash(a)


@given(sizes)
def test_what_is_printed_reads_back(a: Size) -> None:
    assume(not isinstance(a, int) or a >= 0)  # a type has no negative size
    assert parse_type(f"[{a}, N, H, W]").shape[0] == a


CANONICAL = {
    "(H + 1)//2": floor_div(H - 1, 2) + 1,
    "(H + 3)//4": floor_div(floor_div(H - 1, 2) + 1 - 1, 2) + 1,
    "N + N//2": floor_div(3 * N, 2),
    "2*H*N": H * N * 2,
    "N": floor_div(2 * N + 1, 2),
    "-N + 3": 3 - N,
}


@pytest.mark.parametrize("text", CANONICAL)
def test_canonical_form(text: str) -> None:
    assert str(CANONICAL[text]) == text


def test_symbols() -> None:
    assert symbols(floor_div(N * H + 1, 2) + W) == {"N", "H", "W"}
    assert symbols(7) == frozenset()


UNIFIED: list[tuple[Size, Size, dict[str, Size] | None]] = [
    (N, 5, {"N": 5}),
    (2 * N + 1, 9, {"N": 4}),
    (2 * N, 9, None),
    (H * W, 12, None),
    (3, 3, {}),
    (3, 4, None),
    (N + H, H + 2, {"N": 2}),
]


@pytest.mark.parametrize(("pattern", "actual", "wanted"), UNIFIED, ids=str)
def test_unify(pattern: Size, actual: Size, wanted: dict[str, Size] | None) -> None:
    bound: dict[str, Size] = {"H": H} if pattern == N + H else {}
    fits = unify(pattern, actual, bound)
    assert fits == (wanted is not None)
    bound.pop("H", None)
    assert bound == (wanted or {})


def test_products() -> None:
    assert dims.product([]) == 1
    assert dims.product([N, 2, H]) == 2 * N * H
