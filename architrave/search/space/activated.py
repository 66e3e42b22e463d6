"""Parameters that a token uses: fewer than there are, where each token goes to some of many experts."""

from __future__ import annotations

from fractions import Fraction

from architrave.ir.cost import Sizes
from architrave.ir.dims import Size, substitute
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.mode import specialize
from architrave.ir.ops.control import Control
from architrave.ir.ops.leaves import Param
from architrave.ir.source import error


def activated(graph: Graph, tokens: int, sizes: Sizes | None = None) -> Fraction:
    """The multiply-adds with weights for each of `tokens` tokens: the weights that one is multiplied with on average.

    That is all matrices of a dense network, and of a mixture of experts its capacity times one expert. Vectors that are
    added, and tables that are looked up, do not count. Raises E330 for a size that is not given, and E321 for loops.
    """
    graph = specialize(graph, False)
    total: Size = 0
    for node in graph.nodes:
        if isinstance(node.op, Control):
            raise error("E321", f"the parameters that `{node.op.name}` uses for a token are not known", node.span)
        if any(map(_weight, node.operands)):
            total = total + node.op.multiply_adds([v.type for v in node.operands], node.types)
    found = substitute(total, sizes or {})
    if not isinstance(found, int):
        raise error("E330", f"a cost of {found} is not known", hint="give its symbols sizes")
    return Fraction(found, tokens)


def _weight(value: Value) -> bool:
    """Whether a value is made of weights alone."""
    pending: list[Node] = [value.node]
    found = False
    while pending:
        node = pending.pop()
        if not node.operands and not isinstance(node.op, Param):
            return False
        found = True
        pending += [operand.node for operand in node.operands]
    return found
