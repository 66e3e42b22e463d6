"""Applying rules to a graph, in one walk from its inputs to its outputs.

A rule looks at a node whose operands are rewritten already, and upwards from it. What it returns is offered to the
rules again. Uses are counted as nodes come and go, so that a rule knows whether what it takes in has other users, and
the walk is linear in the nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import innermost_first, remade, with_leaves
from architrave.ir.place import mark
from architrave.ir.rewrite import rebuild
from architrave.passes.journal import Declined, Journal
from architrave.passes.select import Select
from architrave.passes.static import Static

Change: TypeAlias = "Value | Sequence[Value] | Declined | None"
"""What takes the place of a node's outputs; or why nothing does although it almost did; or nothing."""
Rule: TypeAlias = "Callable[[Node, Walk], Change]"

LIMIT = 1000
"""How often rules may act where one node was: more is a mistake in the rules."""
ROUNDS = 8


class Walk:
    """One walk over a graph: what rules may ask."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.static = Static(graph)
        self._uses: Counter[Value] = Counter()
        self._alive: set[Node] = set()

    def uses(self, value: Value) -> int:
        """How often a value is used: by what is rewritten already, and by what is still to come."""
        return self._uses[value]

    def expect(self, value: Value, uses: int) -> None:
        """Count uses that are to come."""
        self._uses[value] += uses
        pending = [value.node]
        while pending:
            node = pending.pop()
            if node in self._alive:
                continue
            self._alive.add(node)
            self._uses.update(node.operands)
            pending += [v.node for v in node.operands]

    def release(self, value: Value, uses: int = 1) -> None:
        """Uses that were to come are over. What nothing uses any more uses nothing itself."""
        self._uses[value] -= uses
        pending = [value.node]
        while pending:
            node = pending.pop()
            if node not in self._alive or any(self._uses[v] for v in node.outputs):
                continue
            self._alive.discard(node)
            self._uses.subtract(node.operands)
            pending += [v.node for v in node.operands]


def rewrite(graph: Graph, rules: Sequence[Rule], journal: Journal, only: Select | None = None) -> Graph:
    """Apply rules to a graph, and to those inside it, until none acts any more.

    A node that is annotated with `@keep`, or that `only` does not choose, stays as it is.
    """
    for _ in range(ROUNDS):
        before = journal.counts.total()
        journal.forget_refusals([_name(rule) for rule in rules])
        graph = _Rewriting(rules, journal, only or Select()).everywhere(graph)
        if journal.counts.total() == before:
            break
    return graph


@dataclass(frozen=True)
class _Rewriting:
    """One round."""

    rules: Sequence[Rule]
    journal: Journal
    only: Select

    def everywhere(self, graph: Graph) -> Graph:
        """Rewrite a graph, those inside it first."""
        done: dict[int, Graph] = {}

        def renewed(leaf: object) -> object:
            return done[id(leaf)] if isinstance(leaf, Graph) else leaf

        for inner in innermost_first(graph):
            done[id(inner)] = self._walked(inner, renewed)
        return done[id(graph)]

    def _walked(self, graph: Graph, renewed: Callable[[object], object]) -> Graph:
        walk = Walk(graph)
        uses = Counter(v for node in graph.nodes for v in node.operands)
        uses.update(graph.roots)

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value]:
            op = with_leaves(node.op, renewed) if node.op.graph_attributes else node.op
            outputs = remade(node, op, operands)
            expected = [uses[v] for v in node.outputs]
            for value, count in zip(outputs, expected, strict=True):
                walk.expect(value, count)
            for operand in operands:
                walk.release(operand)
            return self._settled(outputs, expected, walk)

        after = rebuild(graph, offered)
        return graph if (after.inputs, after.roots) == (graph.inputs, graph.roots) else after

    def _settled(self, outputs: tuple[Value, ...], expected: Sequence[int], walk: Walk) -> tuple[Value, ...]:
        """What rules make of a node, and of what they made of it."""
        for _ in range(LIMIT):
            node = outputs[0].node
            made = self._changed(node, walk) if outputs == node.outputs and self._may_touch(node) else None
            if made is None:
                break
            for value, count in zip(made, expected, strict=True):
                walk.expect(value, count)
            for value, count in zip(outputs, expected, strict=True):
                walk.release(value, count)
            outputs = made
        return outputs

    def _changed(self, node: Node, walk: Walk) -> tuple[Value, ...] | None:
        for rule in self.rules:
            # What a rule makes stands where the node stood.
            before = mark(node.marks)
            try:
                found = rule(node, walk)
            finally:
                mark(before)
            if isinstance(found, Declined):
                self.journal.refused(_name(rule), found)
            elif found is not None:
                self.journal.changed(_name(rule), node)
                return (found,) if isinstance(found, Value) else tuple(found)
        return None

    def _may_touch(self, node: Node) -> bool:
        return bool(node.operands) and self.only.matches(node) and all(fact.name != "keep" for fact in node.facts)


def _name(rule: Rule) -> str:
    return rule.__name__.strip("_").replace("_", "-")
