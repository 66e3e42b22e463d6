"""What affine maps cost: whether merging is worth it."""

from __future__ import annotations

from typing import NamedTuple

from architrave.ir.dims import Size, product, substitute, symbols
from architrave.ir.graph import Value
from architrave.passes.reparam.affine import Affine, Scale
from architrave.passes.static import Static

NOMINAL = 64
"""What a symbolic size counts as."""


class Cost(NamedTuple):
    """Operations of one run, and how many numbers are stored."""

    work: int
    numbers: int

    def plus(self, other: Cost) -> Cost:
        """Of two maps."""
        return Cost(self.work + other.work, self.numbers + other.numbers)

    def problem(self, merged: Cost) -> str | None:
        """Why a merged map with a cost of its own is no gain over this."""
        if merged.work > self.work:
            return f"merged they would take {merged.work / max(self.work, 1):.2g} times the operations"
        if merged.numbers > self.numbers:
            return f"merged they would hold {merged.numbers} numbers instead of {self.numbers}"
        return None


def cost_of(affine: Affine, static: Static) -> Cost:
    """What a map costs as nodes of its own. A constant is stored nowhere."""
    if isinstance(affine, Scale):
        parts = [v for v in (affine.scale, affine.shift) if v is not None]
        return Cost(nominal(product(affine.x.shape)) * len(parts), _stored(parts, static))
    parts = [v for v in (affine.weight, affine.bias) if v is not None]
    each = nominal(product(affine.weight.shape[1:])) + (affine.bias is not None)
    return Cost(nominal(product(affine.out)) * each, _stored(parts, static))


def nominal(size: Size) -> int:
    """A size as a number."""
    found = substitute(size, dict.fromkeys(symbols(size), NOMINAL))
    return found if isinstance(found, int) else NOMINAL


def _stored(parts: list[Value], static: Static) -> int:
    return sum(nominal(v.type.size) for v in parts if static.has_weights(v))
