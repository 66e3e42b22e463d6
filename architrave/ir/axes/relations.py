"""How operators say which axes of their results are which axes of their operands.

`Op.relate` gets the axes of the operands and returns those of the results: an operator is run on axes in place of
numbers. `Relations` is what it may say beyond that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from architrave.ir.axes.axis import (
    Axes,
    Axis,
    factored,
    fix,
    join,
    keep_order,
    keep_whole,
    multiply,
    resolved,
    same,
    split,
)
from architrave.ir.dims import Size, divide, product, symbols
from architrave.ir.expand import expansion
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.op import Op
from architrave.ir.ops.control import Control
from architrave.ir.place import Place
from architrave.ir.types import TensorType


@dataclass
class Scope:
    """What is known of a graph: the axes of each value, and of what the graphs inside its nodes hold.

    `vanishing` has the values that are zero at every coordinate whose weights are zeros: weights, and what is made
    of weights alone without losing that.
    """

    graph: Graph
    axes: dict[Value, Axes] = field(default_factory=dict[Value, Axes])
    vanishing: set[Value] = field(default_factory=set[Value])
    inner: dict[Node, tuple[Scope, ...]] = field(default_factory=dict[Node, "tuple[Scope, ...]"])


class Relations:
    """What an operator may say of the axes of one application of it."""

    def __init__(self, node: Node, vanishing: Sequence[bool], place: Place | None) -> None:
        self.operands: tuple[TensorType, ...] = tuple(v.type for v in node.operands)
        self.results: tuple[TensorType, ...] = node.types
        self.vanishing = vanishing
        self.vanishes = False
        """Whether the results vanish; composites find out by their expansion."""
        self.inner: list[Scope] = []
        self._place = node.place or place
        self._op = node.op

    def new(self, result: int = 0) -> Axes:
        """Axes of which nothing is known, for a result."""
        return axes_of(self.results[result])

    def same(self, a: Axis, b: Axis) -> Axis:
        """Two axes have the same coordinates; the one that stands for both."""
        same(a, b, self._reason("brings together what is made of different parts"))
        return resolved(a)

    def broadcast(self, *operands: Axes) -> Axes:
        """The axes of what operands broadcast to: axes of size 1 give way."""
        rank = max(map(len, operands), default=0)
        return tuple(self._meet([x[i - rank] for x in operands if rank - i <= len(x)]) for i in range(rank))

    def summed(self, axis: Axis, *operands: int) -> None:
        """Products of operands are summed along an axis. It may be cut where one of those which have it vanishes."""
        if not any(self.vanishing[i] for i in operands):
            self.whole(axis, "sums over it, and no weight makes what is cut away zero")

    def whole(self, axis: Axis, why: str) -> None:
        """The coordinates may be permuted, but none may be cut away."""
        if axis.size != 1:
            keep_whole(axis, self._reason(why))

    def ordered(self, axes: Iterable[Axis], why: str) -> None:
        """Coordinates may be cut away, but not permuted."""
        for axis in axes:
            keep_order(axis, self._reason(why))

    def fixed(self, axes: Iterable[Axis], why: str = "depends on the order along it") -> None:
        """The coordinates must stay as they are."""
        for axis in axes:
            if axis.size != 1:
                fix(axis, self._reason(why))

    def opaque(self, operands: Iterable[Axes], why: str = "depends on the order along it") -> tuple[Axes, ...]:
        """Nothing is known: all axes are fixed."""
        results = tuple(self.new(i) for i in range(len(self.results)))
        for axes in (*operands, *results):
            self.fixed(axes, why)
        return results

    def joined(self, axes: Iterable[Axis]) -> Axis:
        """Axes one after the other."""
        axes = [*axes]
        if all(isinstance(a.size, int) for a in axes):
            return join(axes)
        self.fixed(axes)
        sizes = [a.size for a in axes]
        why = self._reason("joins parts whose lengths are known when the network runs")
        return Axis(sum(sizes[1:], sizes[0]), why, why)

    def part(self, axis: Axis, start: Size, stop: Size) -> Axis:
        """The coordinates of an axis from `start` up to `stop`."""
        if (start, stop) == (0, axis.size):
            return axis
        found = None
        if isinstance(start, int) and isinstance(stop, int):
            before = split(axis, start)
            found = before and split(before[1], stop - start)
        if found:
            return found[0]
        self.fixed([axis], "takes a part of it that cuts through what it is made of")
        rest = Axis(stop - start)
        self.fixed([rest], "is a part of an axis that cannot be cut")
        return rest

    def reshaped(self, axes: Axes, shape: Sequence[Size]) -> Axes:
        """The axes of the same elements in another shape."""
        found: list[Axis] = []
        for have, wanted in _segments(axes, shape):
            found += self._reshaped(have, wanted)
        return tuple(found)

    def through(self, graph: Graph, operands: Sequence[Axes], vanishing: Sequence[bool] | None = None) -> Scope:
        """What a graph makes of operands."""
        from architrave.ir.axes.scope import scope  # it runs operators, which are told of relations

        return scope(graph, operands, vanishing, self._place)

    def expanded(self, operands: Sequence[Axes]) -> tuple[Axes, ...]:
        """The axes of a composite's results, by its expansion."""
        graph = expansion(self._op, self.operands)
        inside = self.through(graph, operands, self.vanishing)
        self.vanishes = all(v in inside.vanishing for v in graph.outputs)
        return tuple(inside.axes[v] for v in graph.outputs)

    def entered(self, graph: Graph, operands: Sequence[Axes]) -> tuple[Axes, ...]:
        """The axes of the results of a graph which the operator holds. Called once for each, in their order."""
        assert isinstance(self._op, Control), "only operators that hold graphs enter them"
        entries = self._op.entries()[len(self.inner)]
        inside = self.through(graph, operands, [i is not None and self.vanishing[i] for i in entries])
        self.inner.append(inside)
        return tuple(inside.axes[v] for v in graph.outputs)

    def _meet(self, axes: Sequence[Axis]) -> Axis:
        wide = [a for a in axes if a.size != 1] or axes
        for other in wide[1:]:
            self.same(wide[0], other)
        return wide[0]

    def _reshaped(self, have: Sequence[Axis], wanted: Sequence[Size]) -> Sequence[Axis]:
        if len(have) == len(wanted) == 1:
            return have
        found = factored(multiply(have), wanted)
        if found is not None:
            return found
        new = [Axis(size) for size in wanted]
        self.fixed((*have, *new), "cuts through what it is made of")
        return new

    def _reason(self, why: str) -> str:
        where = f" at `{self._place}`" if self._place and self._place.path else ""
        return f"`{self._op.name}`{where} {why}"


def axes_of(type: TensorType) -> Axes:
    """New axes for a tensor. One whose size is known when the network runs stays as it is."""
    return tuple(_symbolic(size) if symbols(size) else Axis(size) for size in type.shape)


def is_vanishing(op: Op, relations: Relations) -> bool:
    """Whether the results are zero at every coordinate whose weights are."""
    like_result = [x.shape == relations.results[0].shape for x in relations.operands]
    match op.vanishes:
        case "never":
            return relations.vanishes
        case "sum":
            return all(like_result) and all(relations.vanishing)
        case "product":
            pairs = zip(relations.vanishing, like_result, strict=True)
            return any(zero and alike for zero, alike in pairs) or all(relations.vanishing)
        case "linear":
            return all(relations.vanishing)


def _symbolic(size: Size) -> Axis:
    why = f"its size, {size}, is known when the network runs"
    return Axis(size, why, why)


def _segments(axes: Axes, shape: Sequence[Size]) -> list[tuple[list[Axis], list[Size]]]:
    """Neighbouring axes and sizes with one product each, the fewest in each."""
    found: list[tuple[list[Axis], list[Size]]] = []
    have, wanted = [*reversed(axes)], [*reversed(shape)]
    while have or wanted:
        segment: tuple[list[Axis], list[Size]] = ([], [])
        if have and wanted and have[-1].size == wanted[-1]:
            found.append(([have.pop()], [wanted.pop()]))
            continue
        left, right = product(()), product(())
        while not segment[0] or left != right:
            # The side that is a proper divisor of the other one goes on; where neither is, both do.
            grows = divide(right, left) is not None and bool(have)
            if grows or not wanted:
                if not have:
                    break
                segment[0].append(have.pop())
                left = left * segment[0][-1].size
                continue
            segment[1].append(wanted.pop())
            right = right * segment[1][-1]
        found.append(segment)
    return found
