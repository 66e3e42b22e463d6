"""Sizes of dimensions: integers, or symbolic expressions in a canonical form, with their own small algebra.

A `Size` is an `int` or a `Dim`. A `Dim` is a polynomial with integer coefficients over atoms; an atom is
a symbol (`N`) or a floor division that does not simplify (`(H + 1)//2`). Symbols stand for integers of
at least 1. Two sizes that are equal as polynomials over the same atoms are equal as objects, so `==`
decides what can be decided; sizes that are not equal may still turn out equal when they are bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, total_ordering
from typing import TypeAlias

from architrave.ir.source import error

Size: TypeAlias = "int | Dim"

TERM_LIMIT = 1_000
"""How many terms a size may have: what a network needs is a few, and a product has as many as both factors' product."""
COEFFICIENT_LIMIT = 2**63
"""Coefficients stay below it: sizes fit into an i64."""
TEXT_LIMIT = 2_000
"""How long a size may be when it is written out, quotients in quotients included."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A size that is known when the network runs."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Quotient:
    """`numerator // denominator`, rounded down, where that does not simplify."""

    numerator: Size
    denominator: Size

    def __str__(self) -> str:
        return f"{_grouped(self.numerator)}//{_grouped(self.denominator)}"


Atom: TypeAlias = "Symbol | Quotient"
Monomial: TypeAlias = tuple[tuple[Atom, int], ...]  # atoms with their powers, sorted; () is the constant


@total_ordering
@dataclass(frozen=True, eq=True)
class Dim:
    """A symbolic size: terms (monomial, coefficient), sorted, no coefficient zero, never constant."""

    terms: tuple[tuple[Monomial, int], ...]

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    # What is no size, a tensor say, may know how to work with one.

    def __add__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        return _collect([*self.terms, *_terms(other)])

    def __sub__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        return self + (-other)

    def __mul__(self, other: Size) -> Size:
        if not isinstance(other, int | Dim):  # pyright: ignore[reportUnnecessaryIsInstance]
            return NotImplemented
        _check_terms(len(self.terms) * len(_terms(other)))
        return _collect((_times(a, b), m * n) for a, m in self.terms for b, n in _terms(other))

    def __neg__(self) -> Dim:
        return Dim(tuple((m, -c) for m, c in self.terms))

    def __floordiv__(self, other: Size) -> Size:
        return floor_div(self, other)

    def __mod__(self, other: Size) -> Size:
        return self - floor_div(self, other) * other

    def __radd__(self, other: int) -> Size:
        return self + other

    def __rsub__(self, other: int) -> Size:
        return -self + other

    def __rmul__(self, other: int) -> Size:
        return self * other

    def __rfloordiv__(self, other: int) -> Size:
        return floor_div(other, self)

    def __lt__(self, other: Dim) -> bool:
        """An arbitrary total order, for canonical forms; not an order of the sizes themselves."""
        return str(self) < str(other)

    @cached_property
    def _text(self) -> str:
        return _written(self)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Dim({self._text})"


def symbol(name: str) -> Dim:
    """The size called `name`."""
    return Dim(((((Symbol(name), 1),), 1),))


def floor_div(a: Size, b: Size) -> Size:
    """`a // b`, rounded down. Simplifies what is divisible, and nested quotients of integers."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if b == 1 or a == 0:
        return a
    exact = divide(a, b)
    if exact is not None:
        return exact
    if isinstance(b, int) and b > 0:
        return _floor_div_int(a, b)
    return _atom(Quotient(a, b))


def ceil_div(a: Size, b: Size) -> Size:
    """`a / b`, rounded up."""
    return floor_div(a + b - 1, b)


def divide(a: Size, b: Size) -> Size | None:
    """The size `q` with `q * b == a` for every binding, or None where there is none."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b and a % b == 0 else None
    if isinstance(b, int):
        divisible = b != 0 and all(c % b == 0 for _, c in _terms(a))
        return _collect((m, c // b) for m, c in _terms(a)) if divisible else None
    # Long division by the leading term; each step cancels the leading term of the remainder.
    quotient: Size = 0
    lead, lead_coefficient = _leading(b)
    for _ in range(64):
        if a == 0:
            return quotient
        top, coefficient = _leading(a)
        monomial = _over(top, lead)
        if monomial is None or coefficient % lead_coefficient:
            return None
        step = _collect([(monomial, coefficient // lead_coefficient)])
        quotient, a = quotient + step, a - step * b
    return None


def symbols(size: Size) -> frozenset[str]:
    """The names of the symbols in a size."""
    found: set[str] = set()
    pending: list[Size] = [size]
    while pending:
        for monomial, _ in _terms(pending.pop()):
            for atom, _ in monomial:
                match atom:
                    case Symbol(name):
                        found.add(name)
                    case Quotient(a, b):
                        pending += [a, b]
    return frozenset(found)


def substitute(size: Size, bindings: Mapping[str, Size]) -> Size:
    """The size with symbols replaced; symbols without a binding stay."""
    if isinstance(size, int):
        return size
    total: Size = 0
    for monomial, coefficient in size.terms:
        product: Size = coefficient
        for atom, power in monomial:
            product = _power(product, _substituted(atom, bindings), power)
        total = total + product
    return total


def unify(pattern: Size, actual: Size, bindings: dict[str, Size]) -> bool:
    """Extend `bindings` so that `pattern` becomes `actual`; False, and nothing bound, where that fails.

    A pattern may hold one unbound symbol, and that linearly: `N`, `2*N + 1`, `H*W` with `W` bound.
    """
    pattern = substitute(pattern, bindings)
    if pattern == actual:
        return True
    free = [m for m, _ in _terms(pattern) if any(isinstance(a, Symbol) and a.name not in bindings for a, _ in m)]
    if len(free) != 1:
        return False
    (monomial,) = free
    unbound = [(a, p) for a, p in monomial if isinstance(a, Symbol) and a.name not in bindings]
    if len(unbound) != 1 or unbound[0][1] != 1 or any(isinstance(a, Quotient) for a, _ in monomial):
        return False
    (target, _) = unbound[0]
    coefficient = _collect((_over(m, ((target, 1),)) or (), c) for m, c in _terms(pattern) if m == monomial)
    rest = _collect((m, c) for m, c in _terms(pattern) if m != monomial)
    solution = divide(actual - rest, coefficient)
    if solution is None or (isinstance(solution, int) and solution < 0):
        return False
    bindings[target.name] = solution
    return True


def product(sizes: Iterable[Size]) -> Size:
    """The product of sizes; 1 for none."""
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def atoms(size: Size) -> list[Atom]:
    """The atoms of a size, each once, in order."""
    return list(dict.fromkeys(a for m, _ in _terms(size) for a, _ in m))


def terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    """The terms of a size: monomials with their coefficients."""
    return _terms(size)


def atom(a: Atom) -> Dim:
    """The size that is one atom."""
    return _atom(a)


def _check_terms(count: int) -> None:
    """Raises E454 where a product or sum would have more terms than any network's sizes have."""
    if count > TERM_LIMIT:
        raise error("E454", f"a symbolic size has at most {TERM_LIMIT} terms, and this one would have {count}")


def _atom(a: Atom) -> Dim:
    if isinstance(a, Quotient) and len(str(a)) > TEXT_LIMIT:
        hint = "name fewer dimensions, or give them as numbers"
        raise error("E454", "a symbolic size has become too long", hint=hint)
    return Dim(((((a, 1),), 1),))


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(size, Dim):
        return size.terms
    return (((), size),) if size else ()


def _collect(items: Iterable[tuple[Monomial, int]]) -> Size:
    total: dict[Monomial, int] = {}
    for monomial, coefficient in items:
        total[monomial] = total.get(monomial, 0) + coefficient
    kept = [(m, c) for m, c in total.items() if c]
    if not kept:
        return 0
    _check_terms(len(kept))
    if any(abs(c) >= COEFFICIENT_LIMIT for _, c in kept):
        raise error("E454", "a symbolic size has a factor of more than 63 bits")
    if len(kept) == 1 and not kept[0][0]:
        return kept[0][1]
    return Dim(tuple(sorted(kept, key=_term_order)))


def _term_order(item: tuple[Monomial, int]) -> tuple[int, str]:
    monomial, _ = item
    return -sum(p for _, p in monomial), _monomial_text(monomial)


def _leading(size: Size) -> tuple[Monomial, int]:
    return _terms(size)[0]


def _times(a: Monomial, b: Monomial) -> Monomial:
    if not a or not b:
        return a or b
    powers: dict[Atom, int] = dict(a)
    for atom_, power in b:
        powers[atom_] = powers.get(atom_, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: str(item[0])))


def _over(a: Monomial, b: Monomial) -> Monomial | None:
    powers: dict[Atom, int] = dict(a)
    for atom_, power in b:
        if powers.get(atom_, 0) < power:
            return None
        powers[atom_] -= power
    return tuple((x, p) for x, p in powers.items() if p)


def _floor_div_int(a: Size, b: int) -> Size:
    whole = _collect((m, c // b) for m, c in _terms(a))
    rest = _collect((m, c % b) for m, c in _terms(a))
    if isinstance(rest, int):
        return whole + rest // b
    common = math.gcd(b, *(c for m, c in rest.terms if m))
    constant = sum(c for m, c in rest.terms if not m)
    if common > 1:
        # (g*r + c) // (g*b) == (r + c//g) // b for every integer r.
        reduced = _collect([*((m, c // common) for m, c in rest.terms if m), ((), constant // common)])
        return whole + floor_div(reduced, b // common)
    inner = _only_quotient(rest - constant)
    if inner is not None:
        # (n // m + c) // b == (n + c*m) // (m*b) for positive m and b.
        numerator, m = inner
        return whole + floor_div(numerator + constant * m, m * b)
    return whole + _atom(Quotient(rest, b))


def _only_quotient(size: Size) -> tuple[Size, int] | None:
    match _terms(size):
        case (((((Quotient(numerator, denominator), 1),), 1)),) if isinstance(denominator, int) and denominator > 0:
            return numerator, denominator
        case _:
            return None


def _substituted(a: Atom, bindings: Mapping[str, Size]) -> Size:
    match a:
        case Symbol(name):
            return bindings.get(name, _atom(a))
        case Quotient(numerator, denominator):
            return floor_div(substitute(numerator, bindings), substitute(denominator, bindings))


def _power(start: Size, base: Size, power: int) -> Size:
    for _ in range(power):
        start = start * base
    return start


def _grouped(size: Size) -> str:
    text = str(size)
    return text if text.isalnum() or text.isidentifier() else f"({text})"


def _monomial_text(monomial: Monomial) -> str:
    factors: list[str] = []
    for a, power in monomial:
        text = f"({a})" if isinstance(a, Quotient) and (len(monomial) > 1 or power > 1) else str(a)
        factors += [text] * power
    return "*".join(factors)


def _written(size: Dim) -> str:
    text = ""
    for monomial, coefficient in size.terms:
        sign = "-" if coefficient < 0 else "+"
        magnitude = abs(coefficient)
        body = _monomial_text(monomial)
        if not monomial:
            body = str(magnitude)
        quotient = len(monomial) == 1 and monomial[0][1] == 1 and isinstance(monomial[0][0], Quotient)
        # -N//2 would be (-N)//2.
        if quotient and (magnitude != 1 or (sign == "-" and not text)):
            body = f"({body})"
        if monomial and magnitude != 1:
            body = f"{magnitude}*{body}"
        if text:
            text += f" {sign} {body}"
        else:
            text = f"-{body}" if sign == "-" else body
    return text
