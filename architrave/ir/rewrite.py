"""Making new graphs from old ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.place import Place, moved


def rebuild(
    graph: Graph,
    rewrite: Callable[[Node, tuple[Value, ...]], Sequence[Value] | None],
    **changes: Any,
) -> Graph:
    """The graph with each node offered to `rewrite`, operands first.

    `rewrite` gets a node and its new operands and returns the values that take its outputs' places, or
    None to keep the node (on the new operands). `changes` are fields of the new graph, such as `name`.
    """
    new: dict[Value, Value] = {}
    for node in graph.nodes:
        operands = tuple(new[v] for v in node.operands)
        replacement = rewrite(node, operands)
        if replacement is None:
            replacement = kept(node, operands)
        new.update(zip(node.outputs, replacement, strict=True))
    return replace(
        graph,
        **{
            "inputs": tuple(new[v] for v in graph.inputs),
            "outputs": tuple(new[v] for v in graph.outputs),
            "weights": tuple(new[v] for v in graph.weights),
            "updates": tuple((new[s], new[v]) for s, v in graph.updates if new[s] is not new[v]),
            **changes,
        },
    )


def kept(node: Node, operands: tuple[Value, ...], place: Place | None = None) -> tuple[Value, ...]:
    """The outputs of `node` on other operands or at another place; its own where both are the same."""
    place = place or node.place
    if operands == node.operands and place is node.place:
        return node.outputs
    copy = make(node.op, operands, replace(node.marks, place=place))
    copy.hints.update(node.hints)
    return copy.outputs


def inline(graph: Graph, arguments: Sequence[Value], place: Place | None = None) -> tuple[Value, ...]:
    """The outputs of a graph with its inputs replaced by `arguments`.

    With `place`, the copy stands there: what the graph has at and below its own place moves to and below it.
    """
    new: dict[Value, Value] = dict(zip(graph.inputs, arguments, strict=True))
    places: dict[Place | None, Place | None] = {graph.place: place or graph.place}
    for node in graph.nodes:
        if node.outputs and node.outputs[0] in new:
            continue
        copy = kept(node, tuple(new[v] for v in node.operands), moved(node.place, places))
        new.update(zip(node.outputs, copy, strict=True))
    return tuple(new[v] for v in graph.outputs)
