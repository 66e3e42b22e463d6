"""What members cost, without building them.

A graph that keeps its choices holds every alternative. What a member costs is then a sum: each weight and each
contraction counts where the labels are taken in which it stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from architrave.dsl.elaborate.core import Labels
from architrave.dsl.elaborate.model import Elaborated
from architrave.dsl.space import STATIC
from architrave.ir.cost import Sizes, turns
from architrave.ir.dims import Size, substitute
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import subgraphs
from architrave.ir.ops.control import Choice, Control
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.source import error
from architrave.search.space.members import Member, taken

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
        return total(self.terms[quantity], taken(member))

    def costs(self, member: Member) -> dict[str, int]:
        """Every quantity."""
        found = taken(member)
        return {quantity: total(self.terms[quantity], found) for quantity in QUANTITIES}


def table(built: Elaborated, sizes: Sizes | None = None) -> Table:
    """The costs of members that share a graph, for sizes of its symbols. Raises E330 where multiply-adds need others.

    A weight counts where it is declared, even if what it is used for is not needed.
    """
    found = Table()
    found.terms["macs"] = terms(built.graph, multiply_adds, sizes)
    kept = {path: choice.labels for path, choice in built.choices.items() if choice.kind not in STATIC}
    for weight in built.graph.weights:
        quantity = "params" if isinstance(weight.op, Param) else "state"
        _add(found.terms[quantity], _fewest(built.within[path_of(weight)], kept), weight.type.size)
    return found


def multiply_adds(node: Node) -> Size:
    """Those of one node."""
    return node.op.multiply_adds([v.type for v in node.operands], node.types)


def terms(graph: Graph, amount: Callable[[Node], Size], sizes: Sizes | None = None) -> Terms:
    """What the nodes come to that a member needs, as `amount` says of each. Raises E330 where sizes are missing."""
    found: Terms = {}
    # New states are computed for every alternative, beside the choice: what a member has is what its outputs need.
    _Count(found, sizes or {}, amount).inputs(replace(graph, updates=()), 1, {ALWAYS}, ())
    return found


@dataclass(frozen=True)
class _Count:
    """Counts nodes under the labels with which what they give is needed. It recurses as deep as graphs nest."""

    found: Terms
    sizes: Sizes
    amount: Callable[[Node], Size] = multiply_adds

    def inputs(self, graph: Graph, times: Size, when: set[Labels], given: tuple[Value, ...]) -> list[set[Labels]]:
        """For each of the given leaves, with which labels it is needed, where the outputs are with `when`."""
        needed = defaultdict[Node, set[Labels]](set)
        for output in graph.outputs:
            needed[output.node] |= when
        for node in reversed(graph.nodes):
            if now := needed[node]:
                for operand, labels in zip(node.operands, self._operands(node, times, now), strict=True):
                    needed[operand.node] |= labels
        return [needed[leaf.node] for leaf in given]

    def _operands(self, node: Node, times: Size, when: set[Labels]) -> list[set[Labels]]:
        _add(self.found, when, substitute(times * self.amount(node), self.sizes))
        if isinstance(node.op, Choice):
            return self._alternatives(node.op, times, when)
        if isinstance(node.op, Control):
            # Those of training, too, which cost nothing to run.
            often = {id(graph): count for graph, count in turns(node.op)}
            for graph in subgraphs(node.op):
                self.inputs(graph, times * often.get(id(graph), 0), when, ())
        return [when] * len(node.operands)

    def _alternatives(self, op: Choice, times: Size, when: set[Labels]) -> list[set[Labels]]:
        needed: list[set[Labels]] = [set() for _ in op.alternatives[0].inputs]
        for label, graph in zip(op.labels, op.alternatives, strict=True):
            inside = {more for labels in when if (more := _with(labels, op.path, label)) is not None}
            for known, labels in zip(needed, self.inputs(graph, times, inside, graph.inputs), strict=True):
                known |= labels
        return [_without(labels, op, when) for labels in needed]


def _with(labels: Labels, path: str, label: str) -> Labels | None:
    """The labels, and one more; None where another one is taken for its decision."""
    taken = dict(labels).get(path)
    if taken is None:
        return (*labels, (path, label))
    return labels if taken == label else None


def _fewest(when: Iterable[Labels], kept: Mapping[str, Sequence[str]]) -> set[Labels]:
    """Labels of choices that are kept, in as few words: what is there with every label is there without the choice."""
    found = {tuple((path, label) for path, label in labels if path in kept) for labels in when}
    for length in range(max(map(len, found)), 0, -1):
        for labels in [labels for labels in found if len(labels) == length]:
            *outer, (path, _) = labels
            every = {(*outer, (path, label)) for label in kept[path]}
            if every <= found:
                found = found - every | {tuple(outer)}
    return found


def _without(found: set[Labels], op: Choice, when: set[Labels]) -> set[Labels]:
    """The same in fewer words: what every label of a choice needs is needed without it."""
    for labels in when:
        every = {_with(labels, op.path, label) for label in op.labels} - {None}
        if every <= found:
            found = found - every | {labels}
    return found


def total(terms: Terms, found: set[tuple[str, str]]) -> int:
    """What the terms come to of a member that takes some labels."""
    return sum(amount for when, amount in terms.items() if any(found.issuperset(labels) for labels in when))


def _add(terms: Terms, when: set[Labels], amount: Size) -> None:
    if not isinstance(amount, int):
        raise error("E330", f"a cost of {amount} is not known", hint="give its symbols sizes")
    if amount:
        key = frozenset((ALWAYS,)) if ALWAYS in when else frozenset(when)
        terms[key] = terms.get(key, 0) + amount
