"""What affine maps cost: whether merging is worth it."""

from __future__ import annotations

from typing import NamedTuple

from architrave.ir.dims import Size, product, substitute, symbols
from architrave.ir.graph import Node, Value
from architrave.passes.reparam.affine import Affine, Scale, Transposed
from architrave.passes.static import Static

NOMINAL = 64
"""What a symbolic size counts as."""


class Cost(NamedTuple):
    """Nodes, operations of one run, multiply-adds of contractions among them, and how many numbers are stored."""

    nodes: int = 0
    work: int = 0
    multiply_adds: int = 0
    numbers: int = 0

    def plus(self, other: Cost) -> Cost:
        """Of two maps."""
        return Cost(*(a + b for a, b in zip(self, other, strict=True)))

    def saves_nodes(self, merged: Cost) -> bool:
        """Whether there is anything to gain: a scale with a shift is two nodes, and stays so."""
        return merged.nodes < self.nodes

    def problem(self, merged: Cost) -> str | None:
        """Why a merged map with a cost of its own is no gain over this."""
        if merged.work > self.work:
            return f"merged they would take {merged.work / max(self.work, 1):.2g} times the operations"
        if merged.multiply_adds > self.multiply_adds:
            return f"merged they would take {merged.multiply_adds} multiply-adds instead of {self.multiply_adds}"
        if merged.numbers > self.numbers:
            return f"merged they would hold {merged.numbers} numbers instead of {self.numbers}"
        return None


def cost_of(affine: Affine, static: Static) -> Cost:
    """What a map costs once it is written. A constant is stored nowhere."""
    if isinstance(affine, Scale):
        parts = [v for v in (affine.scale, affine.shift) if v is not None]
        return Cost(len(parts), nominal(product(affine.x.shape)) * len(parts), 0, _stored(parts, static))
    parts = [v for v in (affine.weight, affine.bias) if v is not None]
    positions = nominal(product(affine.out))
    # Each element of the result, or of a transposed convolution each of x, meets a part of the weight.
    each = affine.x.shape if isinstance(affine, Transposed) else affine.out
    taken = nominal(product(each)) * nominal(product(affine.weight.shape[1:]))
    return Cost(1, taken + positions * (affine.bias is not None), taken, _stored(parts, static))


def cost_before(affine: Affine, node: Node, static: Static) -> Cost:
    """What the map costs as the node that it is seen in: pooling, say, takes no multiply-adds."""
    taken = node.op.multiply_adds([v.type for v in node.operands], node.types)
    return cost_of(affine, static)._replace(nodes=1, multiply_adds=nominal(taken))


def nominal(size: Size) -> int:
    """A size as a number."""
    found = substitute(size, dict.fromkeys(symbols(size), NOMINAL))
    return found if isinstance(found, int) else NOMINAL


def _stored(parts: list[Value], static: Static) -> int:
    return sum(nominal(v.type.size) for v in parts if static.has_weights(v))
