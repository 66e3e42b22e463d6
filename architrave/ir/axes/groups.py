"""The dimensions of a network: which axes of which weights can only be cut or permuted together, and which not at all.

Nothing is traced and nothing hinted at: it follows from what each operator says of its axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from architrave.ir.axes.axis import Axes, Axis, fix, leaves, same
from architrave.ir.axes.places import coordinates
from architrave.ir.axes.relations import Scope, axes_of
from architrave.ir.axes.rest import Coordinates
from architrave.ir.axes.scope import scope
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import Param, path_of


@dataclass(frozen=True)
class Member:
    """An axis of a weight in which a group's units occur.

    `along` is what is known of that axis, and `places`, int [units, m], are the coordinates along it of each unit, in
    an order that is alike for all.
    """

    weight: Value
    axis: int
    along: Axis
    places: Coordinates

    @property
    def path(self) -> str:
        """The weight's key in a checkpoint."""
        return path_of(self.weight)

    @property
    def learns(self) -> bool:
        """Whether the weight is a param, and no state."""
        return isinstance(self.weight.op, Param)


@dataclass(frozen=True, eq=False)
class Group:
    """One dimension of a network: `size` units, which occur in all `members` and can be cut or permuted only there.

    `whole` says why no unit can be cut away, `ordered` why they cannot be permuted; None where they can.
    """

    axis: Axis
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """The number of its units."""
        assert isinstance(self.axis.size, int), "groups are made of axes whose size is known"
        return self.axis.size

    @property
    def whole(self) -> str | None:
        """Why no unit can be cut away."""
        return self.axis.whole

    @property
    def ordered(self) -> str | None:
        """Why units cannot be permuted."""
        return self.axis.ordered

    @property
    def name(self) -> str:
        """Where it is found first: `fc1.weight:0` for axis 0, `qkv.weight:0.1` for the second part of one."""
        first = next((m for m in self.members if m.axis == 0), self.members[0])
        made_of = list(dict.fromkeys(leaves(first.along)))
        part = f".{made_of.index(self.axis)}" if len(made_of) > 1 else ""
        return f"{first.path}:{first.axis}{part}"

    def __repr__(self) -> str:
        return f"<group {self.name}: {self.size} units in {len(self.members)} axes>"


class Groups:
    """All groups of a graph, in the order of its weights."""

    def __init__(self, graph: Graph, scope: Scope) -> None:
        self.graph = graph
        self.scope = scope

    def __iter__(self) -> Iterator[Group]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, axis: Axis) -> Group:
        return self._all[axis]

    @cached_property
    def by_name(self) -> Mapping[str, Group]:
        """Groups by their names."""
        return {group.name: group for group in self}

    @property
    def cuttable(self) -> list[Group]:
        """The groups whose units can be cut away."""
        return [group for group in self if group.whole is None]

    @property
    def permutable(self) -> list[Group]:
        """The groups whose units can be permuted."""
        return [group for group in self if group.ordered is None]

    def along(self, weight: Value, axis: int) -> list[Group]:
        """The groups that an axis of a weight is made of."""
        return [self._all[leaf] for leaf in dict.fromkeys(leaves(self.scope.axes[weight][axis])) if leaf in self._all]

    @cached_property
    def _all(self) -> dict[Axis, Group]:
        members: dict[Axis, list[Member]] = {}
        for weight in self.graph.weights:
            for axis, made_of in enumerate(self.scope.axes[weight]):
                for leaf in dict.fromkeys(leaves(made_of)):
                    if _counts(leaf.size):
                        members.setdefault(leaf, []).append(Member(weight, axis, made_of, coordinates(made_of, leaf)))
        return {leaf: Group(leaf, tuple(found)) for leaf, found in members.items()}


def groups(graph: Graph) -> Groups:
    """The dimensions of a network.

    What spans an input or an output can neither be cut nor permuted: the network would no longer be the same to those
    who call it.
    """
    given = [axes_of(v.type) for v in graph.inputs]
    for value, axes in zip(graph.inputs, given, strict=True):
        _fix(axes, f"the input `{value.hint or value.op.name}` has it")
    found = scope(graph, given)
    for old, new in graph.updates:
        for a, b in zip(found.axes[old], found.axes[new], strict=True):
            same(a, b, f"the new value of `{path_of(old)}` is made of different parts")
    for position, value in enumerate(graph.outputs):
        _fix(found.axes[value], f"output {position} has it")
    return Groups(graph, found)


def _fix(axes: Axes, why: str) -> None:
    for axis in axes:
        fix(axis, why)


def _counts(size: Size) -> bool:
    return isinstance(size, int) and size > 1
