"""Supernets whose members are slices: the weights of every member are parts of those of the largest.

A member with fewer units of a dimension has the first ones, one with smaller kernels their centre, and one of fewer
layers lacks the others. Yu and others, "BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models"
(2020); Valipour and others, "SortedNet" (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.axes.axis import Axes, Axis, leaves
from architrave.ir.axes.groups import Groups, groups
from architrave.ir.axes.places import selected
from architrave.ir.axes.rest import Coordinates
from architrave.ir.axes.within import within
from architrave.ir.choice import choices, decide
from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.ir.recent import Recent
from architrave.ir.source import error
from architrave.ir.types import shape_text
from architrave.passes.search.active import over_active, spelled_out
from architrave.passes.search.opening import opened
from architrave.passes.search.per_example import Masked, OfItsMember, member_input, per_example
from architrave.record.running import reestimate
from architrave.search.space.costs import Costs
from architrave.search.space.members import Member
from architrave.search.supernet.child import Child
from architrave.weights import fit

Places: TypeAlias = tuple[Coordinates, ...]
"""For each axis of a weight the coordinates that a member has."""
REMEMBERED = 256
"""Members whose places are remembered."""


@dataclass
class Slices:
    """A space as the slices of its largest member, or of the one that is given.

    Where the space has choices between stages or tensors, too, the largest one keeps them, with the weights of all.
    """

    costs: Costs
    largest: Member = field(default_factory=dict[str, str])
    _places: Recent[tuple[tuple[str, str], ...], dict[str, Places]] = field(default_factory=lambda: Recent(REMEMBERED))

    def __post_init__(self) -> None:
        self.largest = self.largest or extreme(self.costs, max)
        self.costs.space.check(self.largest)

    @cached_property
    def smallest(self) -> dict[str, str]:
        """The member of the fewest parameters, found one decision after the other."""
        return extreme(self.costs, min)

    @cached_property
    def graph(self) -> Graph:
        """The network whose weights hold those of all members."""
        return self.costs.graph(self.largest)

    def network(self, member: Member) -> Graph:
        """A member by itself: a plain graph, with the weights that it reads, called as in the largest."""
        graph = self.costs.member_graph(member)
        read = {v for node in replace(graph, weights=()).nodes for v in node.outputs}
        return replace(graph, weights=tuple(w for w in graph.weights if w in read))

    def places(self, member: Member) -> dict[str, Places]:
        """Where the weights of a member, by path, stand in those of the largest. Raises E975 for what is no slice."""

        def made() -> dict[str, Places]:
            return {path: self._within(path, axes) for path, axes in self._axes_of(member).items()}

        return self._places.of(tuple(member.items()), made)

    def check(self, members: Iterable[Member] = ()) -> None:
        """See that members are slices: those given, or one for each label of each decision. Raises E975."""
        space = self.costs.space
        each = [
            space.decided({**self.largest, path: label}) for path, labels in space.labels.items() for label in labels
        ]
        for member in members or each:
            self.places(member)

    def weights(self, member: Member, weights: Mapping[str, Any]) -> dict[str, Array]:
        """The weights of a member, cut out of those of the largest. Raises E975."""
        places = self.places(member)
        return {path: np.asarray(weights[path])[np.ix_(*at)] for path, at in places.items()}

    def child(
        self,
        member: Member,
        weights: Mapping[str, Any],
        batches: Iterable[Sequence[Any]] | None = None,
        *,
        backend: str = "numpy",
    ) -> Child:
        """A member with its weights; `batches` of inputs give it batch statistics anew.

        Raises E975, and E502 to E505 for weights that are not those of the largest member.
        """
        graph, held = self.network(member), self.weights(member, fit(weights, self.graph))
        return Child(graph, held if batches is None else reestimate(graph, held, batches, backend=backend))

    def written(self, member: Member, learned: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, Array]:
        """The weights of the largest, with those of a member in their places."""
        return self._into(member, learned, {path: np.array(w) for path, w in weights.items()}, _assign)

    def added(self, member: Member, gradients: Mapping[str, Any], total: Mapping[str, Any]) -> dict[str, Array]:
        """Sums over members of arrays by path, such as gradients, with one more member."""
        return self._into(member, gradients, {path: np.array(w) for path, w in total.items()}, _add)

    def masks(self, member: Member) -> dict[str, Array]:
        """For each weight of the largest a bool array that is true where the member has it."""
        none: dict[str, Array] = {path: np.zeros([_length(a) for a in axes], bool) for path, axes in self._axes.items()}
        return self.written(member, dict.fromkeys(self.places(member), True), none)

    def masked(self, member: Member) -> Graph:
        """The largest member in inference, as what it is of a member where all other weights are zero: see `masks`.

        Means, and so layer norms, are over active units alone. A layer that a member lacks is masked where what it
        gives is added to something. Raises E976.
        """
        decisions = {path: member[path] for path in choices(self.graph) if path in member}
        found = groups(spelled_out(specialize(decide(self.graph, decisions), training=False)))
        return over_active(found, self.units(member, found))

    def shared(self, members: Sequence[Member]) -> Graph:
        """The largest member in inference, of which each example is computed by one of `members`: a further input, [N].

        Its weights are whole. Kernels of several sizes, and alternatives of a choice of which members take several, are
        all computed. Raises E976.
        """
        taken = {
            path: {member.get(path, known[0]) for member in members} for path, known in choices(self.graph).items()
        }
        alike = {path: labels.pop() for path, labels in taken.items() if len(labels) == 1}
        graph = specialize(decide(self.graph, alike), training=False)
        which = member_input(graph)
        whole = opened(graph, OfItsMember(which=which, members=members))
        found = groups(spelled_out(replace(whole, inputs=(*graph.inputs, which))))
        known = {path_of(w) for w in found.graph.weights}
        masked = [Masked(self.units(member, found), known - self.places(member).keys()) for member in members]
        return per_example(found, masked, which)

    def units(self, member: Member, large: Groups) -> dict[Axis, Coordinates]:
        """The units that a member has of the dimensions of the largest one, where these are fewer.

        Raises E976 where a dimension of the largest is several in the member, which then has no mask.
        """
        found: dict[Axis, Coordinates] = {}
        self.places(member)
        known = {path_of(w): large.scope.axes[w] for w in large.graph.weights}
        for path, axes in self._axes_of(member).items():
            for ours, theirs in zip(known[path], axes, strict=True):
                chosen = within(ours, theirs) or {}
                for axis in leaves(ours):
                    units = _all_or(chosen.get(axis), axis)
                    if not np.array_equal(found.setdefault(axis, units), units):
                        both = f"both {len(found[axis])} and {len(units)} units in another"
                        raise error(
                            "E976", f"`{large[axis].name}` is one dimension of the largest member, and has {both}"
                        )
        return {axis: units for axis, units in found.items() if len(units) < _length(axis)}

    @cached_property
    def _axes(self) -> dict[str, Axes]:
        return axes_by_path(self.graph)

    def _axes_of(self, member: Member) -> dict[str, Axes]:
        return axes_by_path(self.network(member))

    def _within(self, path: str, axes: Axes) -> Places:
        name = self.graph.name
        if path not in self._axes:
            raise error("E975", f"`{path}` is a weight of a member of `{name}`, and none of the largest one")
        ours = self._axes[path]
        places = [within(a, b) for a, b in zip(ours, axes, strict=False)]
        if len(ours) != len(axes) or any(chosen is None for chosen in places):
            shapes = [shape_text([axis.size for axis in each]) for each in (axes, ours)]
            raise error(
                "E975",
                f"`{path}` of a member of `{name}` is no slice of the largest one's: {shapes[0]} of {shapes[1]}",
                hint="a slice has no more units of any dimension, and the centre of kernels",
            )
        return tuple(_all_or(selected(axis, chosen or {}), axis) for axis, chosen in zip(ours, places, strict=True))

    def _into(
        self, member: Member, values: Mapping[str, Any], found: dict[str, Array], put: Callable[[Array, Any, Any], None]
    ) -> dict[str, Array]:
        places = self.places(member)
        for path, value in values.items():
            put(found[path], np.ix_(*places[path]), value)
        return found


def axes_by_path(graph: Graph) -> dict[str, Axes]:
    """The axes of each weight of a network."""
    axes = groups(graph).scope.axes
    return {path_of(w): axes[w] for w in graph.weights}


def extreme(costs: Costs, end: Callable[..., str]) -> dict[str, str]:
    """The member of the most parameters for `max`, of the fewest for `min`, found one decision after the other.

    Of members with as many that with more multiply-adds counts as larger.
    """
    member = costs.space.decided({})
    for path in costs.static:
        if path not in member:
            continue
        ways = {label: costs.space.decided({**member, path: label}) for label in costs.space.labels[path]}
        amounts = {label: (found["params"], found["macs"]) for label, way in ways.items() for found in [costs.of(way)]}
        member = ways[end(amounts, key=amounts.__getitem__)]
    return member


def _all_or(places: Coordinates | None, axis: Axis) -> Coordinates:
    return np.arange(_length(axis)) if places is None else places


def _length(axis: Axis) -> int:
    assert isinstance(axis.size, int), "the sizes of weights are known"
    return axis.size


def _assign(array: Array, index: Any, value: Any) -> None:
    array[index] = value


def _add(array: Array, index: Any, value: Any) -> None:
    array[index] += value
