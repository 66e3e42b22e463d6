"""The tree of a network's instances, with what each gives and what it costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from architrave.ir.bind import bind_type
from architrave.ir.cost import Placed, multiply_adds_by_place, placed_graphs, weight_sizes
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.leaves import Constant, Input, Param, State

if TYPE_CHECKING:
    from architrave.ir.place import Place
    from architrave.ir.types import TensorType


@dataclass(eq=False)
class Instance:
    """One instance of a block, with those inside it; or a group of instances, such as `layer1` in `layer1.0`.

    `segment` is the last part of its path. `outputs` are the types of what others take from it.
    """

    segment: str
    path: str
    block: str = ""
    outputs: dict[TensorType, None] = field(default_factory=dict["TensorType", None])
    parameters: Size = 0
    multiply_adds: Size = 0
    children: dict[str, Instance] = field(default_factory=dict[str, "Instance"])

    def walk(self) -> Iterator[Instance]:
        """The instance and all below it, each before those below it."""
        pending: list[Instance] = [self]
        while pending:
            instance = pending.pop()
            yield instance
            pending += reversed(instance.children.values())


def instances(graph: Graph, sizes: Mapping[str, int] | None = None) -> Instance:
    """The root of the tree, which is the model itself. `sizes` are put in for symbolic dimensions."""
    tree = _Tree(Instance("", "", graph.name))
    tree.root.outputs = dict.fromkeys(v.type for v in graph.outputs)
    for part in placed_graphs(graph):
        for node in part.graph.nodes:
            tree.add(node, part)
        _find_outputs(part, tree)
    for path, size in weight_sizes(graph).items():
        for instance in tree.around(path):
            instance.parameters = instance.parameters + size
    costs = multiply_adds_by_place(graph, sizes)
    for instance in tree.root.walk():
        instance.multiply_adds = costs.get(instance.path, 0)
        instance.outputs = {bind_type(t, sizes or {}): None for t in instance.outputs}
    return tree.root


def alike(children: Mapping[str, Instance]) -> list[list[Instance]]:
    """Siblings in runs that differ in nothing but their number, as the layers of a deep network do."""
    groups = itertools.groupby(children.values(), key=lambda c: likeness(c) if c.segment.isdecimal() else c.segment)
    return [list(group) for _, group in groups]


@dataclass(frozen=True)
class _Tree:
    """The instances by path."""

    root: Instance

    def add(self, node: Node, part: Placed) -> None:
        """The instances that a node runs in."""
        place = node.place
        chain: list[Place] = []
        while place is not None:
            chain.append(place)
            place = place.parent
        for step in reversed(chain):
            if part.holds(step.path):
                self._name(self._at(part.moved(step.path)), step)

    def around(self, path: str) -> Iterator[Instance]:
        """The root, and every instance that a path leads through."""
        instance: Instance | None = self.root
        for segment in [*path.split("."), ""] if path else [""]:
            if instance is None:
                return
            yield instance
            instance = instance.children.get(segment)

    def _name(self, instance: Instance, step: Place) -> None:
        # A fn adds no segment: it is what an instance is of only where a name was put before it.
        if step.block is not None and (step.segment or not instance.block):
            instance.block = step.block.name

    def _at(self, path: str) -> Instance:
        instance = self.root
        for segment in path.split(".") if path else ():
            below = f"{instance.path}.{segment}" if instance.path else segment
            instance = instance.children.setdefault(segment, Instance(segment, below))
        return instance


def _find_outputs(part: Placed, tree: _Tree) -> None:
    """Note the types of what instances give to one another, and to whoever holds the graph."""
    for node in part.graph.nodes:
        for value in node.operands:
            _leave(value, part.path(value.node), part.path(node), tree)
    for value in part.graph.outputs:
        _leave(value, part.path(value.node), part.here, tree)


def _leave(value: Value, path: str, to: str, tree: _Tree) -> None:
    """A value goes from one instance to another: it is an output of those that only the first lies in."""
    if path == to or isinstance(value.op, Param | State | Input | Constant):
        return
    inside = set(map(id, tree.around(to)))
    for instance in tree.around(path):
        if id(instance) not in inside:
            instance.outputs.setdefault(value.type)


def likeness(instance: Instance) -> tuple[object, ...]:
    """What two instances must share to be shown as one: everything but their names."""
    return tuple((i.path[len(instance.path) :], *_own(i)) for i in instance.walk())


def _own(instance: Instance) -> tuple[object, ...]:
    return instance.block, tuple(instance.outputs), instance.parameters, instance.multiply_adds
