"""Computing what depends on constants alone."""

from __future__ import annotations

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.op import Op
from architrave.ir.ops.control import Control
from architrave.ir.ops.leaves import Full
from architrave.passes.base import Pass, option
from architrave.passes.journal import Journal
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.static import is_weight


class Constants(Pass):
    """What is computed from constants alone becomes a constant."""

    largest: int = option(1024, "how many elements a constant may have: larger ones stay computed")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Constants of the chosen precision are computed, and kept, in float64."""

        def fold_constants(node: Node, walk: Walk) -> Change:
            return _folded(node, walk, self.largest)

        return rewrite(graph, [fold_constants], journal)


def _folded(node: Node, walk: Walk, largest: int) -> Change:
    if isinstance(node.op, Control) or any(v.node.operands or is_weight(v) for v in node.operands):
        return None
    sizes = [v.type.size if v in walk.static else None for v in node.outputs]
    if any(not isinstance(size, int) or size > largest for size in sizes):
        return None
    from architrave.ir.interpret import interpret

    values = interpret(Graph("constant", (), node.outputs)).outputs
    return [make(_constant(a, v), (), node.marks).outputs[0] for a, v in zip(values, node.outputs, strict=True)]


def _constant(array: Array, value: Value) -> Op:
    from architrave.ir.storage import constant_of

    if value.rank or value.dtype.is_complex:
        return constant_of(array, value.dtype, array.shape)
    return Full(array.item(), (), value.dtype)
