"""Decisions that a graph leaves open: listing and taking them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import innermost_first, rebuild_nested
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice
from architrave.ir.rewrite import inline
from architrave.ir.source import error, nearest


def choices(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The labels of every decision that is still open, by its path, outer decisions first."""
    found: dict[str, tuple[str, ...]] = {}
    for inner in reversed(innermost_first(graph)):
        found |= {node.op.path: node.op.labels for node in inner.nodes if isinstance(node.op, Choice)}
    return found


def decide(graph: Graph, decisions: Mapping[str, str]) -> Graph:
    """The graph with the named decisions taken; the others stay open.

    Raises E273 for a path without a decision, E270 for a label that the decision lacks.
    """
    open_ = choices(graph)
    for path, label in decisions.items():
        if path not in open_:
            raise error("E273", f"there is no open decision `{path}`", hint=nearest(path, open_))
        if label not in open_[path]:
            known = ", ".join(open_[path])
            raise error("E270", f"the decision `{path}` has no alternative `{label}`", hint=f"it is one of {known}")

    def taken(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        match op:
            case Choice(path=path) if path in decisions:
                return inline(op.alternatives[op.labels.index(decisions[path])], operands, node.place)
            case _:
                return None

    return rebuild_nested(graph, taken)
