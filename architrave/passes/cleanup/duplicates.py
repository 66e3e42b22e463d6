"""Computing once what is computed twice."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Input, Param, State
from architrave.ir.rewrite import kept, rebuild
from architrave.passes.base import Pass
from architrave.passes.journal import Journal


class Duplicates(Pass):
    """Nodes that apply one operator to the same operands become one node (common subexpressions)."""

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Random numbers are no exception: they are a function of their key."""
        first: dict[tuple[Op, tuple[Value, ...]], tuple[Value, ...]] = {}

        def shared(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if isinstance(node.op, Input | Param | State) or any(fact.name == "keep" for fact in node.facts):
                return None
            known = first.setdefault((node.op, operands), kept(node, operands))
            if known is not node.outputs and node.operands and known[0].node.serial < node.serial:
                journal.changed("duplicate", node)
            return known

        return rebuild(graph, shared)
