"""Weights that learn nothing any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.leaves import Param
from architrave.ir.ops.logic import StopGradient
from architrave.ir.rewrite import kept, rebuild
from architrave.passes.base import Pass, option
from architrave.passes.journal import Journal
from architrave.passes.select import Select


class Freeze(Pass):
    """Weights that the chosen nodes take learn nothing any more: no gradient flows to them, and they do not decay.

    `freeze{only=@frozen}` freezes what the network's text annotates with `@frozen`. Running statistics are no weights:
    `freeze-norm` is about those.
    """

    only: Select = option(Select(), "whose weights: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """A weight is frozen wherever it is used."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        chosen = {
            v
            for node in graph.nodes
            if self.only.matches(node) and not isinstance(node.op, StopGradient)
            for v in node.operands
            if isinstance(v.op, Param) and v.dtype.is_float
        }
        for weight in graph.weights:
            if weight in chosen:
                journal.changed("freeze", weight.node)
        return frozen(graph, chosen)


class Unfreeze(Pass):
    """Weights that `freeze` or `lora` froze learn again, all of them."""

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """`stop_gradient` goes where it is applied to a weight itself."""

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if not isinstance(node.op, StopGradient) or not isinstance(operands[0].op, Param):
                return None
            journal.changed("unfreeze", operands[0].node)
            return operands

        return rebuild(graph, offered)


def frozen(graph: Graph, weights: Collection[Value]) -> Graph:
    """The graph with no gradient for these weights."""
    fixed = {w: apply(StopGradient(), w) for w in weights}

    def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if isinstance(node.op, StopGradient) or not any(v in fixed for v in operands):
            return None
        return kept(node, tuple(fixed.get(v, v) for v in operands))

    return rebuild(graph, offered)
