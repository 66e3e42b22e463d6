"""Symbolic sizes in emitted functions: read off the shapes of tensors at hand, or computed from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from architrave.backends.code import Code, infix, literal, prefix
from architrave.backends.names import Names, identifier
from architrave.ir.dims import Atom, Monomial, Quotient, Size, atom, atoms, terms

_AXES = {1: ("N",), 2: ("N", "C"), 3: ("N", "T", "C"), 4: ("N", "C", "H", "W"), 5: ("N", "C", "D", "H", "W")}
"""What the field calls the axes of a tensor of some rank, for sizes that have no name of their own."""

Shape = tuple[Size, ...]


@dataclass
class Sizes:
    """The sizes that can be had from some tensors. What is read off their shapes becomes lines of its own."""

    sources: Sequence[tuple[str, Shape]]
    """Tensors by their names, with their shapes."""
    names: Names
    reads: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    """For a tensor's position and an axis of it, the name of that size."""
    known: dict[Size, Code | None] = field(default_factory=dict[Size, "Code | None"])

    def code(self, size: Size) -> Code | None:
        """An expression for a size, or None where the tensors do not give it."""
        if isinstance(size, int):
            return literal(size)
        if size not in self.known:
            self.known[size] = self._derive(size, frozenset())
        return self.known[size]

    def lines(self, text: str | None = None) -> list[str]:
        """The statements that read sizes off the tensors; of those that a text uses, where it is given."""
        found: list[str] = []
        for position, (name, shape) in enumerate(self.sources):
            wanted = {a: n for (p, a), n in self.reads.items() if p == position and (text is None or _uses(text, n))}
            if len(wanted) == 1:
                found += [f"{n} = {name}.shape[{axis}]" for axis, n in wanted.items()]
            elif wanted:
                targets = [wanted.get(axis, "_") for axis in range(len(shape))]
                found.append(f"{', '.join(targets)} = {name}.shape")
        return found

    def _derive(self, size: Size, solving: frozenset[Atom]) -> Code | None:
        if isinstance(size, int):
            return literal(size)
        read = self._read(size)
        if read is not None:
            return read
        values: dict[Atom, Code] = {}
        for a in atoms(size):
            value = self._atom(a, solving)
            if value is None:
                return None
            values[a] = value
        return _polynomial(size, values)

    def _read(self, size: Size) -> Code | None:
        for position, (_, shape) in enumerate(self.sources):
            if size in shape:
                return Code(self._named(position, shape.index(size)))
        return None

    def _named(self, position: int, axis: int) -> str:
        if (position, axis) not in self.reads:
            shape = self.sources[position][1]
            self.reads[position, axis] = self.names.fresh(_label(shape[axis], axis, len(shape)))
        return self.reads[position, axis]

    def _atom(self, a: Atom, solving: frozenset[Atom]) -> Code | None:
        """An atom's value: a tensor's size, solved from one in which it stands linearly, or a quotient computed."""
        read = self._read(atom(a))
        if read is not None or a in solving:
            return read
        for position, (_, shape) in enumerate(self.sources):
            for axis, size in enumerate(shape):
                found = self._solve(size, a, solving | {a})
                if found is not None:
                    return _inverse(Code(self._named(position, axis)), *found)
        if not isinstance(a, Quotient):
            return None
        top, bottom = self._derive(a.numerator, solving | {a}), self._derive(a.denominator, solving | {a})
        return infix(top, "//", bottom) if top is not None and bottom is not None else None

    def _solve(self, size: Size, a: Atom, solving: frozenset[Atom]) -> tuple[Code, Code] | None:
        """`factor` and `rest` where `size` is `factor * a + rest` and both can be computed; None elsewhere."""
        factor: Size = 0
        rest: Size = 0
        for monomial, coefficient in terms(size):
            powers = dict(monomial)
            power = powers.pop(a, 0)
            if power > 1:
                return None
            part = _product(tuple(powers.items()), coefficient)
            factor, rest = (factor + part, rest) if power else (factor, rest + part)
        if factor == 0:
            return None
        by, less = self._derive(factor, solving), self._derive(rest, solving)
        return (by, less) if by is not None and less is not None else None


def _uses(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


def _inverse(whole: Code, factor: Code, rest: Code) -> Code:
    """`(whole - rest) // factor`."""
    if isinstance(rest.number, int) and rest.number < 0:
        whole = infix(whole, "+", literal(-rest.number))
    elif rest.number != 0:
        whole = infix(whole, "-", rest)
    return infix(whole, "//", factor) if factor.number != 1 else whole


def _polynomial(size: Size, of: dict[Atom, Code]) -> Code:
    total: Code | None = None
    for monomial, coefficient in terms(size):
        term = _term(monomial, abs(coefficient), of)
        if total is None:
            total = term if coefficient > 0 else prefix("-", term)
        else:
            total = infix(total, "+" if coefficient > 0 else "-", term)
    return total or literal(0)


def _term(monomial: Monomial, coefficient: int, of: dict[Atom, Code]) -> Code:
    factors = [of[a] for a, power in monomial for _ in range(power)]
    if coefficient != 1 or not factors:
        factors.insert(0, literal(coefficient))
    product = factors[0]
    for factor in factors[1:]:
        product = infix(product, "*", factor)
    return product


def _product(monomial: Monomial, coefficient: int) -> Size:
    total: Size = coefficient
    for a, power in monomial:
        for _ in range(power):
            total = total * atom(a)
    return total


def _label(size: Size, axis: int, rank: int) -> str:
    """A name for a size: its own if it is a symbol, else what the field calls that axis."""
    text = str(size)
    if text.isidentifier():
        return identifier(text, "size")
    return _AXES[rank][axis] if rank in _AXES else "size"
