"""What members cost, without building them.

A graph that keeps its choices holds every alternative. What a member costs is then a sum: each weight and each
contraction counts where the labels are taken in which it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from architrave.ir.cost import Sizes, turns
from architrave.ir.dims import Size, substitute
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import subgraphs
from architrave.ir.ops.control import Choice, Control
from architrave.ir.ops.leaves import Param, State
from architrave.ir.source import error
from architrave.search.space import Member

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Labels that must all be taken, by path."""
Terms: TypeAlias = dict[frozenset[Labels], int]
"""An amount for each condition: that all labels of one of several `Labels` are taken."""

ALWAYS: Labels = ()
QUANTITIES = ("params", "state", "macs")


@dataclass
class Table:
    """The costs of the members of a graph that keeps its choices, as sums of terms."""

    terms: dict[str, Terms] = field(default_factory=lambda: {name: {} for name in QUANTITIES})

    def cost(self, quantity: str, member: Member) -> int:
        """Trainable numbers (`params`), numbers in states (`state`) or multiply-adds (`macs`) of a member."""
        found = self.terms[quantity].items()
        return sum(amount for when, amount in found if any(_taken(labels, member) for labels in when))

    def costs(self, member: Member) -> dict[str, int]:
        """Every quantity."""
        return {quantity: self.cost(quantity, member) for quantity in QUANTITIES}


def table(graph: Graph, sizes: Sizes | None = None) -> Table:
    """The costs of the members of a graph, for sizes of its symbols. Raises E330 where multiply-adds need others."""
    found = Table()
    uses: dict[Value, set[Labels]] = {weight: set() for weight in graph.weights}
    # New states are computed for every alternative, beside the choice: what a member has is what its outputs need.
    for part in _parts(replace(graph, updates=())):
        for node in part.graph.nodes:
            if not isinstance(node.op, Control):
                part.use(node.operands, uses)
                amount = part.times * node.op.multiply_adds([v.type for v in node.operands], node.types)
                _add(found.terms["macs"], frozenset((part.labels,)), substitute(amount, sizes or {}))
        part.use(part.graph.outputs, uses)
    for weight, labels in uses.items():
        quantity = "params" if isinstance(weight.op, Param) else "state"
        # What nothing reads counts in every member, as it does in a graph without choices.
        when = frozenset(labels) if labels and ALWAYS not in labels else frozenset((ALWAYS,))
        _add(found.terms[quantity], when, weight.type.size)
    return found


@dataclass(frozen=True)
class _Part:
    """A graph inside the graph: the labels under which it runs, how often, and which weights its inputs are."""

    graph: Graph
    labels: Labels
    times: Size
    weights: Mapping[Value, Value]

    def use(self, values: tuple[Value, ...], uses: dict[Value, set[Labels]]) -> None:
        for value in values:
            if (weight := self.weight(value)) is not None:
                uses[weight].add(self.labels)

    def weight(self, value: Value) -> Value | None:
        """The weight that a value is."""
        return value if isinstance(value.op, Param | State) else self.weights.get(value)

    def inner(self, node: Node, op: Control) -> Iterator[_Part]:
        """The graphs inside a node, those of training, which cost nothing to run, too."""
        often = {id(graph): count for graph, count in turns(op)}
        for position, (graph, entries) in enumerate(zip(subgraphs(op), op.entries(), strict=True)):
            given = [None if i is None else self.weight(node.operands[i]) for i in entries]
            weights = {v: weight for v, weight in zip(graph.inputs, given, strict=True) if weight is not None}
            if not isinstance(op, Choice):
                yield _Part(graph, self.labels, self.times * often.get(id(graph), 0), weights)
            elif (labels := self._with(op.path, op.labels[position])) is not None:
                yield _Part(graph, labels, self.times, weights)

    def _with(self, path: str, label: str) -> Labels | None:
        """The labels, and one more; None where another one is taken for its decision."""
        taken = dict(self.labels).get(path)
        if taken is None:
            return (*self.labels, (path, label))
        return self.labels if taken == label else None


def _parts(graph: Graph) -> Iterator[_Part]:
    pending = [_Part(graph, ALWAYS, 1, {})]
    while pending:
        part = pending.pop()
        yield part
        for node in part.graph.nodes:
            if isinstance(node.op, Control):
                pending += part.inner(node, node.op)


def _taken(labels: Labels, member: Member) -> bool:
    return all(member.get(path) == label for path, label in labels)


def _add(terms: Terms, when: frozenset[Labels], amount: Size) -> None:
    if not isinstance(amount, int):
        raise error("E330", f"a cost of {amount} is not known", hint="give its symbols sizes")
    if amount:
        terms[when] = terms.get(when, 0) + amount
