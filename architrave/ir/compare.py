"""Structural equality of graphs, exact.

Nodes of both graphs are numbered together: two nodes get one number when their operators are equal and their operands
have the same numbers. Graphs are equal when their roots have equal numbers.

An operator that holds graphs counts with what its graphs compute: an input that is an operand has that operand's
number. So neither the order of captures counts nor whether one is never used.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import leaves, subgraphs
from architrave.ir.op import Op
from architrave.ir.ops.control import Control


def equal(a: Graph, b: Graph) -> bool:
    """Whether two graphs are the same network."""
    if (len(a.inputs), len(a.outputs), len(a.updates)) != (len(b.inputs), len(b.outputs), len(b.updates)):
        return False
    numbering = _Numbering()
    return numbering.roots(a, numbering.own(a)) == numbering.roots(b, numbering.own(b))


class _Numbering:
    """Numbers of nodes: equal ones for equal nodes. It recurses as deep as loops and modes are nested."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}
        self.depth = 0

    def own(self, graph: Graph) -> list[Hashable]:
        """What inputs that nobody gave are known by: how deep inside their graph is, their place and their type."""
        return [("input", self.depth, i, v.node.op) for i, v in enumerate(graph.inputs)]

    def roots(self, graph: Graph, inputs: list[Hashable]) -> Hashable:
        """What the graph computes, for inputs that are known by `inputs`."""
        known: dict[Value, Hashable] = dict(zip(graph.inputs, inputs, strict=True))
        given = {v.node for v in graph.inputs}
        for node in graph.nodes:
            if node in given:
                continue
            number = self._number(self._what(node, known))
            known.update({value: (number, value.index) for value in node.outputs})
        updates = frozenset((known[old], known[new]) for old, new in graph.updates)
        return tuple(known[v] for v in graph.outputs), updates, frozenset(known[v] for v in graph.weights)

    def _number(self, what: Hashable) -> int:
        return self.numbers.setdefault(what, len(self.numbers))

    def _what(self, node: Node, known: Mapping[Value, Hashable]) -> Hashable:
        operands = [known[v] for v in node.operands]
        if not isinstance(node.op, Control):
            return (node.op, *operands)
        entries = node.op.entries()
        passed = {i for entry in entries for i in entry}
        others = tuple(what for i, what in enumerate(operands) if i not in passed)
        self.depth += 1
        inside = tuple(
            self.roots(
                graph, [mine if i is None else operands[i] for i, mine in zip(entry, self.own(graph), strict=True)]
            )
            for graph, entry in zip(subgraphs(node.op), entries, strict=True)
        )
        self.depth -= 1
        return (node.op.name, _static(node.op), others, inside)


def _static(op: Op) -> Hashable:
    """The attributes that count, without the graphs."""
    fields = dataclasses.fields(op)  # type: ignore[arg-type]  # every operator is one
    values = (leaf for field in fields if field.compare for leaf in leaves(getattr(op, field.name)))
    return tuple(leaf for leaf in values if not isinstance(leaf, Graph))
