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
from architrave.ir.axes.axis import Axis, leaves, slides
from architrave.ir.axes.groups import Groups
from architrave.ir.axes.places import selected
from architrave.ir.axes.rest import Coordinates
from architrave.ir.graph import Graph, Node, Value, apply, make
from architrave.ir.ops import checks
from architrave.ir.ops.control import Choice, Control
from architrave.ir.ops.index import Take
from architrave.ir.ops.leaves import Input, path_of
from architrave.ir.ops.statistics import Mean, Var
from architrave.ir.place import marked
from architrave.ir.rewrite import kept
from architrave.ir.source import ArchitraveError, error
from architrave.ir.storage import constant_of
from architrave.ir.types import DType, TensorType
from architrave.passes.search.opening import Mix


@dataclass(frozen=True)
class Masked:
    """A member: the units that it has of dimensions, where these are fewer, and the paths of the weights it lacks."""

    units: Mapping[Axis, Coordinates]
    lacks: Collection[str]


def member_input(graph: Graph) -> Value:
    """The position of the member that computes each example of a batch: an input, i64 [N]."""
    found: Value = build.input("member", TensorType(DType.I64, (graph.inputs[0].shape[0],)))
    return found


@dataclass
class OfItsMember(Mix):
    """In the place of a choice, for each example what its member takes."""

    which: Value | None = None
    members: Sequence[Mapping[str, str]] = ()

    def mix(self, choice: Choice, alternatives: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
        """All alternatives are computed. Raises E976 for what does not begin with the axis of examples."""
        assert self.which is not None, "there is an input that says which member"
        kinds = [choice.labels.index(member.get(choice.path, choice.labels[0])) for member in self.members]
        return tuple(_picked(kinds, column, self.which) for column in zip(*alternatives, strict=True))


def per_example(found: Groups, members: Sequence[Masked], which: Value) -> Graph:
    """The graph, of which each example is computed by one of several members: `which`, see `member_input`.

    Where these have kernels of different sizes, all are applied. The axes of all that is computed from the inputs begin
    with that of examples. Raises E976 where it does not, and for loops.
    """
    for node in found.graph.nodes:
        if isinstance(node.op, Control):
            what = f"what `{node.op.name}` computes inside cannot be masked for each example"
            raise error("E976", what, node.span, hint="mask one member at a time")
    return _PerExample(found, members, which).graph()


def _picked(kinds: Sequence[int], values: Sequence[Value], which: Value) -> Value:
    """For each example one of some values: that whose position its member has."""
    picked = values[0]
    if picked.rank == 0 or picked.shape[0] != which.shape[0]:
        raise _no_examples(picked)
    (table,) = make(constant_of(kinds, DType.I64, (len(kinds),)), ()).outputs
    rows = build.reshape(apply(Take(0), table, which), [-1, *(1 for _ in picked.shape[1:])])
    for i, value in enumerate(values[1:], 1):
        picked = build.where(build.equal(rows, i), value, picked)
    return picked


def _no_examples(value: Value) -> ArchitraveError:
    what = f"`{value.op.name}` gives {value.type}, whose first axis is not that of examples"
    return error("E976", what, value.node.span, hint="mask one member at a time")


@dataclass
class _PerExample:
    found: Groups
    members: Sequence[Masked]
    which: Value
    new: dict[Value, Value] = field(default_factory=dict[Value, Value])
    lacking: dict[Value, frozenset[int]] = field(default_factory=dict[Value, "frozenset[int]"])
    """For what is made of weights alone the members that lack any of them."""

    def graph(self) -> Graph:
        graph = self.found.graph
        weights = set(graph.weights)
        for node in graph.nodes:
            if node.outputs[0] in weights or (not node.operands and not isinstance(node.op, Input)):
                self.lacking[node.outputs[0]] = self._lacks(node, weights)
            elif node.operands and all(v in self.lacking for v in node.operands):
                self.lacking.update(dict.fromkeys(node.outputs, self._joined(node)))
            results = self._results(node)
            self.new.update(zip(node.outputs, results, strict=True))
        outputs = tuple(self.new[v] for v in graph.outputs)
        return replace(graph, outputs=outputs, updates=())

    def _results(self, node: Node) -> Sequence[Value]:
        operands = tuple(self.new[v] for v in node.operands)
        if node.outputs[0] in self.lacking or not node.operands:
            return kept(node, operands)
        with marked(place=node.place):
            if isinstance(node.op, Mean | Var):
                return (self._statistic(node, node.op, operands[0]),)
            results = self._by_kernel(node, operands)
            if not any(v in self.lacking for v in node.operands):
                return results
            return [self._masked(old, new, self._joined(node)) for old, new in zip(node.outputs, results, strict=True)]

    def _by_kernel(self, node: Node, operands: tuple[Value, ...]) -> Sequence[Value]:
        """What an operator gives, for each example with the part of kernels that its member has."""
        tables = {
            (i, axis): table
            for i, v in enumerate(node.operands)
            for axis in range(v.rank)
            if v in self.lacking and _is_kernel(self.found.scope.axes[v][axis])
            if (table := self._active(v, axis)) is not None
        }
        if not tables:
            return kept(node, operands)
        masks = np.concatenate([*tables.values()], axis=1)
        distinct, kinds = np.unique(masks, axis=0, return_inverse=True)
        results: list[Sequence[Value]] = []
        for kind in range(len(distinct)):
            (member, *_) = np.flatnonzero(kinds.ravel() == kind)
            masked = [*operands]
            for (i, axis), table in tables.items():
                shape = (table.shape[1], *(1 for _ in masked[i].shape[axis + 1 :]))
                (mask,) = make(constant_of(table[member], masked[i].dtype, shape), ()).outputs
                masked[i] = build.multiply(masked[i], mask)
            results.append(kept(node, tuple(masked)))
        return [_picked(kinds.ravel().tolist(), column, self.which) for column in zip(*results, strict=True)]

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
            raise _no_examples(value)
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


def _is_kernel(axis: Axis) -> bool:
    return any(map(slides, leaves(axis)))
