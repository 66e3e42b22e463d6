"""Writing the vectors of residual streams in other coordinates, in which another norm does what theirs did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.nested import remade
from architrave.ir.ops.join import Slice
from architrave.ir.ops.norm import LayerNorm, RmsNorm
from architrave.ir.rewrite import rebuild
from architrave.passes.journal import Declined, Journal
from architrave.passes.reparam.affine import Dense, Scale, written
from architrave.passes.reparam.carried import widened
from architrave.passes.reparam.compose import composed
from architrave.passes.reparam.stream import Reading, Stream, reading, streams
from architrave.passes.reparam.views import view
from architrave.passes.static import Static


class Coordinates(Protocol):
    """How vectors of d coordinates are written, and what the norm of such a vector is."""

    @property
    def norm(self) -> type[LayerNorm | RmsNorm]:
        """The norm that is replaced."""
        ...

    def width(self, d: Size) -> Size:
        """How many numbers a vector is."""
        ...

    def written(self, vectors: Value, axis: int) -> Value:
        """Vectors along an axis in these coordinates."""
        ...

    def read(self, functionals: Value, axis: int) -> Value:
        """Linear maps of vectors, along an axis, as maps of what the new norm gives."""
        ...

    def normed(self, x: Value, eps: float) -> Value:
        """The norm, without weights, along the last axis."""
        ...

    def restored(self, y: Value) -> Value:
        """What the old norm gives, from what the new one gives."""
        ...


def rewritten(graph: Graph, coordinates: Coordinates, journal: Journal) -> Graph:
    """The graph with each of its residual streams in other coordinates."""
    static = Static(graph)
    found: list[Stream] = []
    for stream in streams(graph, coordinates.norm, static):
        if isinstance(stream, Declined):
            journal.refused("stream", stream)
        else:
            found.append(stream)
    if not found:
        return graph
    change = _Change(coordinates, static, found, {n: reading(graph, n, static) for s in found for n in s.norms})
    for norm in change.readings:
        journal.changed(coordinates.norm.name, norm)
    return rebuild(graph, change.offered)


def part(vectors: Value, axis: int, start: Size, stop: Size) -> Value:
    """Some of the coordinates."""
    rank = vectors.rank
    starts = tuple(start if a == axis else 0 for a in range(rank))
    stops = tuple(stop if a == axis else size for a, size in enumerate(vectors.shape))
    return apply(Slice(starts, stops, (1,) * rank), vectors)


class _Change:
    """What becomes of each node."""

    def __init__(
        self, coordinates: Coordinates, static: Static, found: Sequence[Stream], readings: dict[Node, Reading]
    ) -> None:
        self.coordinates, self.static, self.readings = coordinates, static, readings
        self.writers = {node for s in found for node in s.maps}
        self.fixed = {use: axis for s in found for use, axis in s.fixed.items()}
        self.axes = {v.node: axis for s in found for v, axis in s.axes.items()}
        self.folded: dict[Node, Node] = {}
        """The linear layers that a norm's weights go into, with that norm."""
        self.bare: set[Node] = set()
        """The norms whose weights do."""
        for norm, read in readings.items():
            if read.maps and not read.others and all(v in static for v in norm.operands[1:]):
                self.bare.add(norm)
                self.folded |= dict.fromkeys(read.maps, norm)
                self.axes |= {v.node: axis for v, axis in read.axes.items()}

    def offered(self, node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        """The new outputs of a node."""
        if node in self.readings:
            return (self._norm(node, operands),)
        if node in self.writers or node in self.folded:
            return (self._map(node, operands[0]),)
        if node not in self.axes:
            return None
        given = tuple(
            self._fixed(v, self.fixed[node, i]) if (node, i) in self.fixed else v for i, v in enumerate(operands)
        )
        (y,) = node.outputs
        axis = self.axes[node]
        return remade(node, widened(node.op, y, axis, self.coordinates.width(y.shape[axis])), given)

    def _fixed(self, vectors: Value, axis: int) -> Value:
        """A table, or another weight that is part of the stream."""
        return self.coordinates.written(vectors, axis).named(vectors.hint or "table")

    def _norm(self, node: Node, operands: tuple[Value, ...]) -> Value:
        assert isinstance(node.op, LayerNorm | RmsNorm)
        y = self.coordinates.normed(operands[0], node.op.eps)
        if node in self.bare:
            return y
        y = self.coordinates.restored(y)
        for weight, combine in zip(operands[1:], (Value.__mul__, Value.__add__), strict=False):
            y = combine(y, weight)
        return y

    def _map(self, node: Node, x: Value) -> Value:
        """A linear layer between streams: of a norm's result, or that writes, or both."""
        dense = view(node.outputs[0], self.static)
        assert isinstance(dense, Dense)
        if node in self.folded:
            scale, shift = (*self.folded[node].operands[1:], None, None)[:2]
            merged = composed(dense, Scale(x, dense.axis, scale, shift))
            assert isinstance(merged, Dense)
            dense = replace(merged, weight=self.coordinates.read(merged.weight, 1))
        if node in self.writers:
            bias = None if dense.bias is None else self.coordinates.written(dense.bias, 0)
            dense = replace(dense, weight=self.coordinates.written(dense.weight, 0), bias=bias)
        return written(replace(dense, x=x))
