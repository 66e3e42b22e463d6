"""What graphs inside others are given, and do not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import rebuild_nested, remade, subgraphs, with_leaves
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice, Control, Mode, Scan, While


def without_unread_captures(graph: Graph) -> Graph:
    """The graph in which branches, loops and choices are given what one of their graphs reads."""
    return rebuild_nested(graph, _read)


def _read(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
    if not isinstance(op, Choice | Mode | Scan | While):
        return None
    unread = _captured(op, read=False) - _captured(op, read=True)
    if not unread:
        return None
    pairs = zip(subgraphs(op), op.entries(), strict=True)
    fewer = {
        id(graph): replace(
            graph, inputs=tuple(v for v, entry in zip(graph.inputs, entries, strict=True) if entry not in unread)
        )
        for graph, entries in pairs
    }
    left = with_leaves(op, lambda leaf: fewer.get(id(leaf), leaf))
    return remade(node, left, tuple(v for i, v in enumerate(operands) if i not in unread))


def _captured(op: Control, read: bool) -> set[int]:
    """The operands that graphs of an operator take from outside; with `read`, those that one of them reads."""
    return {
        entry
        for graph, entries in zip(subgraphs(op), op.entries(), strict=True)
        for value, entry in zip(graph.inputs, entries, strict=True)
        if entry is not None and (not read or graph.users.get(value.node) or value in graph.outputs)
    }
