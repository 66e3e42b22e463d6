"""Structural equality of graphs, exact and without recursion.

Nodes of both graphs are numbered together: two nodes get one number when their operators are equal and
their operands have the same numbers. Graphs are equal when their roots have equal numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from architrave.ir.graph import Graph, Node, Value


def equal(a: Graph, b: Graph, key: Callable[[Node], Hashable] = lambda node: node.op) -> bool:
    """Whether two graphs are the same network. `key` says what of a node counts, by default its operator."""
    if (len(a.inputs), len(a.outputs), len(a.updates)) != (len(b.inputs), len(b.outputs), len(b.updates)):
        return False
    numbers: dict[Hashable, int] = {}
    return _roots(a, numbers, key) == _roots(b, numbers, key)


def _roots(graph: Graph, numbers: dict[Hashable, int], key: Callable[[Node], Hashable]) -> Hashable:
    inputs = {v.node: i for i, v in enumerate(graph.inputs)}
    number: dict[Node, int] = {}

    def of(value: Value) -> tuple[int, int]:
        return number[value.node], value.index

    for node in graph.nodes:
        position = inputs.get(node)
        what = (key(node), position) if position is not None else (key(node), *map(of, node.operands))
        number[node] = numbers.setdefault(what, len(numbers))
    updates = frozenset((of(old), of(new)) for old, new in graph.updates)
    return tuple(map(of, graph.outputs)), updates, frozenset(map(of, graph.weights))
