"""Supernets whose decisions take several alternatives at once, and sum them.

Chu, Lu, Li and Zhang, "MixPath: A Unified Approach for One-shot Neural Architecture Search" (2023). The sum of k
alternatives has other statistics than that of one, so that it is normalized by a batch norm of its own for each k: a
shadow batch norm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from architrave.dsl.elaborate.model import Elaborated
from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.choice import choices
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.control import Choice
from architrave.ir.place import here
from architrave.ir.prefix import prefixed
from architrave.ir.source import error
from architrave.models import find_in_text
from architrave.passes.search.needs import Needing
from architrave.passes.search.opening import Mix, opened, with_read_weights
from architrave.passes.search.switched import SWITCH, completed, switch_path
from architrave.search.space.costs import Costs
from architrave.search.space.members import AND, Member, Space
from architrave.search.space.subsets import subsets
from architrave.search.space.table import Table, terms


@dataclass(frozen=True)
class MixPath:
    """A supernet: `source` keeps its choices, in `graph` a switch for each label says whether it is in the sum."""

    source: Graph
    graph: Graph
    space: Space

    @cached_property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The subsets of the labels of every decision, by path."""
        return self.space.labels

    def setting(self, member: Mapping[str, str]) -> dict[str, Array]:
        """The switches of a member, by path. Decisions that it lacks are at their first label. Raises E952."""
        found: dict[str, Array] = {}
        whole = completed(self.source.name, self.labels, member)
        for path, labels in choices(self.source).items():
            taken = whole[path].split(AND)
            found[switch_path(path)] = np.asarray(len(taken), np.int64)
            for label in labels:
                found[switch_path(f"{path}.{label}")] = np.asarray(int(label in taken), np.int64)
        return found

    def learning(self, weights: Mapping[str, Value]) -> dict[str, Value]:
        """Whether each weight that some members lack is in the one that is taken: see `Recipe.learning`."""
        return Needing(self.graph, SWITCH).learning(weights)

    def member(self, member: Mapping[str, str]) -> Graph:
        """A member by itself, with the batch norms of as many alternatives as it takes. Raises E952."""
        return _member(self.source, completed(self.source.name, self.labels, member))


@dataclass
class Subsets(Costs):
    """What the members cost that take up to `most` alternatives of each choice, batch norms of their sums included."""

    most: int = 2

    @cached_property
    def space(self) -> Space:
        """The members. Raises E974 where a choice has too many subsets to list them."""
        return subsets(Space.of(self.named, self.arguments), self.most)

    def member_graph(self, member: Member) -> Graph:
        """The graph of a member, with the batch norms of as many alternatives as it takes. Raises E952."""
        self.space.check(member)
        return _member(self.graph(member), member)

    def _table(self, built: Elaborated) -> Table:
        found = super()._table(built)
        for quantity in ("params", "state"):
            for when, amount in terms(built.graph, _of_norm, self.sizes).items():
                found.terms[quantity][when] = found.terms[quantity].get(when, 0) + amount
        return found


def mixpath(source: Graph, most: int) -> MixPath:
    """The supernet of a graph that keeps its choices, whose members take up to `most` alternatives of each.

    The batch norm for k alternatives is at `shadow.K` below the path of the decision. Where a decision is used several
    times, or has several results, each has its own. Raises E957, see `opened`, E958 for a choice between tensors
    without channels, and E974 for one with too many subsets.
    """
    space = subsets(Space.within(source), most)
    graph = opened(source, _Summing(most=most))
    return MixPath(source, Needing(graph, SWITCH).resting(), space)


def _member(source: Graph, member: Member) -> Graph:
    return with_read_weights(opened(source, _Taking(taken=member)))


@dataclass
class _Shadows(Mix):
    """Batch norms of sums."""

    uses: dict[str, int] = field(default_factory=dict[str, int])

    def use(self, path: str) -> str:
        """What the batch norms are called of one more result of a decision, in the block where it is used."""
        place = here().place
        outer = "" if place is None or not place.path else f"{place.path}."
        within = path.removeprefix(outer)
        self.uses[outer + within] = number = self.uses.get(outer + within, -1) + 1
        return f"{within}.shadow" if number == 0 else f"{within}.shadow_{number}"

    def normed(self, x: Value, path: str) -> Value:
        """The sum after a batch norm, which is called so in the block where the sum is."""
        found = prefixed(_norm(x), path, here().place, [x])
        self.updates += found.updates
        return found.outputs[0]


@dataclass
class _Taking(_Shadows):
    """One member."""

    taken: Member = field(default_factory=dict[str, str])

    def mix(self, choice: Choice, alternatives: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
        # A decision that the member lacks is one whose result it does not read.
        labels = self.taken.get(choice.path, choice.labels[0]).split(AND)
        found = [results for label, results in zip(choice.labels, alternatives, strict=True) if label in labels]
        columns = zip(*found, strict=True)
        return tuple(self.normed(_sum(column), f"{self.use(choice.path)}.{len(labels)}") for column in columns)


@dataclass
class _Summing(_Shadows):
    """All members."""

    most: int = 1
    switches: dict[str, Value] = field(default_factory=dict[str, Value])

    def mix(self, choice: Choice, alternatives: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
        included = [build.equal(self._switch(f"{choice.path}.{label}"), 1) for label in choice.labels]
        count = self._switch(choice.path)
        found: list[Value] = []
        for column in zip(*alternatives, strict=True):
            use = self.use(choice.path)
            total = _sum([build.where(each, value, 0.0) for each, value in zip(included, column, strict=True)])
            result = self.normed(total, f"{use}.1")
            for k in range(2, min(self.most, len(choice.labels)) + 1):
                result = build.where(build.equal(count, k), self.normed(total, f"{use}.{k}"), result)
            found.append(result)
        return tuple(found)

    def _switch(self, path: str) -> Value:
        if path not in self.switches:
            self.switches[path] = build.state(switch_path(path), "i64[]")
        return self.switches[path]


def _sum(values: Sequence[Value]) -> Value:
    first, *others = values
    for other in others:
        first = first + other
    return first


def _norm(x: Value) -> Graph:
    """A batch norm of such tensors."""
    _ = _channels(x)
    text = f'from std.norm import batch_norm\nmodel Norm()(x: {x.type}) = x -> "": batch_norm\n'
    graph = find_in_text(text).elaborate({}).graph
    # The network is the block alone, as the library has it.
    return replace(graph, place=graph.outputs[0].node.place)


def _of_norm(node: Node) -> Size:
    """The parameters of the batch norms of a choice, and the numbers in their states: two for each channel."""
    total: Size = 0
    for value in node.outputs if isinstance(node.op, Choice) else ():
        total = total + 2 * _channels(value)
    return total


def _channels(x: Value) -> Size:
    if x.rank < 2 or not x.dtype.is_float:
        raise error("E958", f"a sum of tensors {x.type} has no channels that a batch norm could normalize")
    return x.shape[1]
