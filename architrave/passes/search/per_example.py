"""One pass of a supernet in which each example is computed by another of its members.

The channels that a member lacks are masked in what is computed for its examples, so that no weight is cut: Liao,
Karaman and Sze, "Searching for Efficient Multi-Stage Vision Transformers" (2021).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from architrave.ir import build
from architrave.ir.arrays import Array, known, np
from architrave.ir.axes.axis import Axis
from architrave.ir.axes.groups import Groups
from architrave.ir.axes.places import selected
from architrave.ir.axes.rest import Coordinates
from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.ops import checks
from architrave.ir.ops.control import Control
from architrave.ir.ops.index import Take
from architrave.ir.ops.leaves import Input, path_of
from architrave.ir.ops.statistics import Mean, Var
from architrave.ir.place import marked
from architrave.ir.rewrite import kept
from architrave.ir.source import error
from architrave.ir.storage import constant_of
from architrave.ir.types import DType, TensorType


@dataclass(frozen=True)
class Masked:
    """A member: the units that it has of dimensions, where these are fewer, and the paths of the weights it lacks."""

    units: Mapping[Axis, Coordinates]
    lacks: Collection[str]


def per_example(found: Groups, members: Sequence[Masked]) -> Graph:
    """The graph with one more input, i64 [N], the position of the member that computes each example.

    The axes of all that is computed from the inputs begin with that of examples. Raises E976 where it does not, and for
    loops.
    """
    for node in found.graph.nodes:
        if isinstance(node.op, Control):
            what = f"what `{node.op.name}` computes inside cannot be masked for each example"
            raise error("E976", what, node.span, hint="mask one member at a time")
    return _PerExample(found, members).graph()


@dataclass
class _PerExample:
    found: Groups
    members: Sequence[Masked]
    new: dict[Value, Value] = field(default_factory=dict[Value, Value])
    lacking: dict[Value, frozenset[int]] = field(default_factory=dict[Value, "frozenset[int]"])
    """For what is made of weights alone the members that lack any of them."""

    def graph(self) -> Graph:
        graph = self.found.graph
        examples = graph.inputs[0].shape[0]
        self.which: Value = build.input("member", TensorType(DType.I64, (examples,)))
        weights = set(graph.weights)
        for node in graph.nodes:
            if node.outputs[0] in weights or (not node.operands and not isinstance(node.op, Input)):
                self.lacking[node.outputs[0]] = self._lacks(node, weights)
            elif node.operands and all(v in self.lacking for v in node.operands):
                self.lacking.update(dict.fromkeys(node.outputs, self._joined(node)))
            results = self._results(node)
            self.new.update(zip(node.outputs, results, strict=True))
        outputs = tuple(self.new[v] for v in graph.outputs)
        return replace(graph, inputs=(*graph.inputs, self.which), outputs=outputs, updates=())

    def _results(self, node: Node) -> Sequence[Value]:
        operands = tuple(self.new[v] for v in node.operands)
        if node.outputs[0] in self.lacking or not node.operands:
            return kept(node, operands)
        with marked(place=node.place):
            if isinstance(node.op, Mean | Var):
                return (self._statistic(node, node.op, operands[0]),)
            results = kept(node, operands)
            if not any(v in self.lacking for v in node.operands):
                return results
            return [self._masked(old, new, self._joined(node)) for old, new in zip(node.outputs, results, strict=True)]

    def _lacks(self, node: Node, weights: set[Value]) -> frozenset[int]:
        if node.outputs[0] not in weights:
            return frozenset()
        path = path_of(node.outputs[0])
        return frozenset(i for i, member in enumerate(self.members) if path in member.lacks)

    def _joined(self, node: Node) -> frozenset[int]:
        return frozenset[int]().union(*(self.lacking.get(v, frozenset()) for v in node.operands))

    def _active(self, value: Value, axis: int) -> Array | None:
        """Which coordinates each member has: float64 [members, size] of ones and zeros; None where all have all."""
        kinds = [selected(self.found.scope.axes[value][axis], member.units) for member in self.members]
        if all(places is None for places in kinds):
            return None
        table = np.ones((len(kinds), known(value.shape[axis])))
        for row, places in zip(table, kinds, strict=True):
            if places is not None:
                row[:] = 0
                row[places] = 1
        return table

    def _masked(self, old: Value, new: Value, lacking: frozenset[int]) -> Value:
        if lacking:
            there = np.array([float(i not in lacking) for i in range(len(self.members))])
            new = build.multiply(new, self._rows(old, there[:, None], old.rank - 1))
        for axis in range(old.rank):
            table = self._active(old, axis)
            if table is not None:
                new = build.multiply(new, self._rows(old, table, axis))
        return new

    def _rows(self, value: Value, table: Array, axis: int) -> Value:
        """The rows of the members of all examples, along an axis of a value."""
        if axis == 0 or value.shape[0] != self.which.shape[0]:
            what = f"`{value.op.name}` gives {value.type}, whose first axis is not that of examples"
            raise error("E976", what, value.node.span, hint="mask one member at a time")
        shape = [1] * value.rank
        shape[0], shape[axis] = -1, table.shape[1]
        (constant,) = make(constant_of(table, value.dtype, table.shape), ()).outputs
        found: Value = build.reshape(apply(Take(0), constant, self.which), shape)
        return found

    def _statistic(self, node: Node, op: Mean | Var, x: Value) -> Value:
        (old,) = node.operands
        axes = checks.axis_set(op.axes, old.rank)
        tables = {axis: table for axis in axes if (table := self._active(old, axis)) is not None}
        if not tables:
            return kept(node, (x,))[0]
        others = prod(known(old.shape[axis]) for axis in axes if axis not in tables)
        count = others * np.prod([table.sum(axis=1) for table in tables.values()], axis=0)[:, None]
        if isinstance(op, Var):
            mean = build.sum(self._along(old, x, tables), axes, keep=True) / self._rows(old, count, old.rank - 1)
            x = build.multiply(x - mean, x - mean)
            count = count - op.correction
        total = build.sum(self._along(old, x, tables), axes, keep=True) / self._rows(old, count, old.rank - 1)
        found: Value = total if op.keep else build.reshape(total, list(node.outputs[0].shape))
        return found

    def _along(self, old: Value, x: Value, tables: Mapping[int, Array]) -> Value:
        for axis, table in tables.items():
            x = build.multiply(x, self._rows(old, table, axis))
        return x
