"""What networks cost whose numbers have few bits: multiply-adds times the bits of both factors."""

from __future__ import annotations

from architrave.ir.cost import Sizes
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.mode import specialize
from architrave.ir.ops.quantize import FakeQuantize
from architrave.search.space.members import Member, taken
from architrave.search.space.table import Terms, multiply_adds, terms, total

FLOAT_BITS = 32
"""Of numbers that are not rounded."""


def bit_terms(graph: Graph, sizes: Sizes | None = None) -> Terms:
    """The BitOps of the members of a graph that keeps its choices, as a sum. Raises E330 where sizes are missing.

    A factor has the bits of the `fake_quantize` right before it, in the same alternative; 32 where there is none.
    """
    return terms(specialize(graph, training=False), _bit_ops, sizes)


def bit_ops(graph: Graph, sizes: Sizes | None = None, member: Member | None = None) -> int:
    """The BitOps of a network, or of a member of one that keeps its choices."""
    return total(bit_terms(graph, sizes), taken(member or {}))


def _bit_ops(node: Node) -> Size:
    amount = multiply_adds(node)
    if amount == 0:
        return 0
    first, second = (_bits(v) for v in node.operands[:2])
    return amount * (first * second)


def _bits(value: Value) -> int:
    return value.op.bits if isinstance(value.op, FakeQuantize) else FLOAT_BITS
