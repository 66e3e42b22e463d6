"""One graph describes training and inference; this picks one of them."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.loops import without_idle_carries
from architrave.ir.nested import rebuild_nested
from architrave.ir.op import Op
from architrave.ir.ops.control import Mode, Scan, While
from architrave.ir.rewrite import inline


def updates_in_inference(graph: Graph) -> bool:
    """Whether states change in inference, too: those that are not updated in training alone."""
    return bool(graph.updates) and bool(specialize(graph, training=False).updates)


def specialize(graph: Graph, training: bool) -> Graph:
    """The graph of one mode: each `mode` node gives way to its chosen side, inside other graphs too.

    Updates that then change nothing are dropped, in loops, too. The weights stay, used or not: both modes are over the
    same.
    """

    def chosen(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        match op:
            case Mode(training=side) if training:
                return inline(side, operands, node.place)
            case Mode(inference=side):
                return inline(side, operands, node.place)
            case Scan() | While():
                return without_idle_carries(node, op, operands)
            case _:
                return None

    return rebuild_nested(graph, chosen)
