"""Reaching into operators: the graphs that they hold, and rebuilding a graph with all graphs inside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.op import Op
from architrave.ir.rewrite import rebuild

Rewrite = Callable[[Node, Op, tuple[Value, ...]], Sequence[Value] | None]


def leaves(attribute: object) -> Iterator[object]:
    """What an attribute holds: itself, or what its tuple holds."""
    if not isinstance(attribute, tuple):
        yield attribute
        return
    for item in attribute:  # pyright: ignore[reportUnknownVariableType]
        yield from leaves(item)  # pyright: ignore[reportUnknownArgumentType]


def subgraphs(op: Op) -> tuple[Graph, ...]:
    """The graphs among an operator's attributes."""
    attributes = (getattr(op, name) for name in op.graph_attributes)
    return tuple(leaf for attribute in attributes for leaf in leaves(attribute) if isinstance(leaf, Graph))


def with_leaves(op: Op, change: Callable[[object], object]) -> Op:
    """The operator with every leaf of its attributes changed; the operator itself where none changes."""
    changes: dict[str, Any] = {}
    for name in op.attributes:
        before = getattr(op, name)
        after = _changed(before, change)
        if after is not before:
            changes[name] = after
    return dataclasses.replace(op, **changes) if changes else op  # type: ignore[type-var]  # every operator is one


def innermost_first(graph: Graph) -> list[Graph]:
    """Every graph inside `graph`, each once and before those that hold it, and last `graph` itself."""
    order: list[Graph] = []
    seen = {id(graph)}
    pending = [(graph, _held(graph))]
    while pending:
        current, held = pending[-1]
        inner = next((g for g in held if id(g) not in seen), None)
        if inner is None:
            order.append(current)
            pending.pop()
            continue
        seen.add(id(inner))
        pending.append((inner, _held(inner)))
    return order


def rebuild_nested(graph: Graph, rewrite: Rewrite) -> Graph:
    """The graph with each node of it, and of the graphs inside it, offered to `rewrite`, inner graphs first.

    `rewrite` gets the node, its operator over the graphs already rebuilt, and its new operands. It returns
    the values that take the outputs' places, or None to keep the node. Graphs without a change stay as they are.
    """
    done: dict[int, Graph] = {}

    def renewed(leaf: object) -> object:
        return done[id(leaf)] if isinstance(leaf, Graph) else leaf

    def offer(node: Node, operands: tuple[Value, ...]) -> Sequence[Value]:
        op = with_leaves(node.op, renewed)
        replacement = rewrite(node, op, operands)
        return remade(node, op, operands) if replacement is None else replacement

    for inner in innermost_first(graph):
        after = rebuild(inner, offer)
        unchanged = (after.inputs, after.roots) == (inner.inputs, inner.roots)
        done[id(inner)] = inner if unchanged else after
    return done[id(graph)]


def remade(node: Node, op: Op, operands: tuple[Value, ...]) -> tuple[Value, ...]:
    """The outputs of `node` with another operator or other operands; its own where both are the same."""
    if op is node.op and operands == node.operands:
        return node.outputs
    copy = make(op, operands, node.marks)
    copy.hints.update(node.hints)
    return copy.outputs


def _held(graph: Graph) -> Iterator[Graph]:
    return (inner for node in graph.nodes for inner in subgraphs(node.op))


def _changed(attribute: object, change: Callable[[object], object]) -> object:
    if not isinstance(attribute, tuple):
        return change(attribute)
    before: tuple[object, ...] = attribute  # pyright: ignore[reportUnknownVariableType]
    after = tuple(_changed(item, change) for item in before)
    return before if all(a is b for a, b in zip(after, before, strict=True)) else after
