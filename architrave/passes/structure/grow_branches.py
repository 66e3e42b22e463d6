"""One path of a network as several that come to the same: its topology changes, and its function stays.

Cai, Yang, Zhang, Han and Yu, "Path-Level Network Transformation for Efficient Architecture Search" (2018). Each branch
can then be changed by itself: made wider or deeper, or branched again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.join import Concat, Slice
from architrave.ir.ops.leaves import path_of
from architrave.ir.place import Block, marked
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.source import error
from architrave.passes.base import Pass, Rewritten, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.select import Select
from architrave.passes.static import Static, is_weight
from architrave.passes.structure.added import Added
from architrave.passes.structure.grow_deeper import channels


class Branch(Pass):
    """Layers become branches side by side, with weights of their own, that come to the same.

    With `merge=add` each branch is a copy, and their sum is divided by their number; with `merge=concat` each has some
    of the output channels. With `edges=values` it is what operators give that is divided so, each branch passing on its
    part. Cai and others, "Path-Level Network Transformation for Efficient Architecture Search" (2018).
    """

    only: Select = option(Select(), "which layers, or which operators")
    count: int = option(2, "how many branches")
    merge: Literal["add", "concat"] = option("add", "how they are put together")
    edges: Literal["layers", "values"] = option("layers", "what is branched: convolutions and linear layers, or values")

    def apply(self, graph: Graph, journal: Journal) -> Rewritten:
        """Raises E803 for fewer than 2 branches."""
        if self.count < 2:
            raise error("E803", f"`branch{{count}}` takes 2 branches and more, not {self.count}")
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        added, static = Added(graph), Static(graph)

        def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            axis = self._axis(node, static)
            if axis is None:
                return None
            (y,) = node.outputs
            size = y.shape[axis]
            if self.merge == "concat" and (not isinstance(size, int) or size < self.count or _grouped(node)):
                reason = f"its {size} channels are not divided among {self.count} branches"
                journal.refused("branch", Declined(reason, node))
                return None
            journal.changed("branch", node)
            with marked(place=node.place, span=node.span, facts=node.facts):
                layers = self.edges == "layers"
                branches = self._layers(added, node, operands) if layers else self._parts(node, operands, axis)
                return (self._merged(branches, axis),)

        return added.rewritten(rebuild(graph, rewrite))

    def _axis(self, node: Node, static: Static) -> int | None:
        """Along which axis the channels of a chosen node lie; None for others."""
        if not node.operands or len(node.outputs) != 1 or not self.only.matches(node):
            return None
        (y,) = node.outputs
        if y in static or not y.dtype.is_float:
            return None
        if self.edges == "values":
            return channels(node, static)
        weighted = isinstance(node.op, Conv | Linear) and all(map(is_weight, node.operands[1:]))
        return channels(node, static) if weighted else None

    def _layers(self, added: Added, node: Node, operands: tuple[Value, ...]) -> Iterator[Value]:
        """Each branch: the layer on copies of its weights, or on the part of them that makes some of the channels."""
        for i in range(self.count):
            place = added.place(f"branch.{i}", node.place, Block("block", "Branch", inputs=("x",)))
            with marked(place=place):
                weights = [w if self.merge == "add" else self._part(w, 0, i) for w in operands[1:]]
                names = [path_of(w).rpartition(".")[2] for w in node.operands[1:]]
                copies = [added.copied(f"{place.path}.{name}", w) for name, w in zip(names, weights, strict=True)]
                yield apply(node.op, operands[0], *copies)

    def _parts(self, node: Node, operands: tuple[Value, ...], axis: int) -> Iterator[Value]:
        """Each branch: an equal share of what an operator gives, or some of the channels."""
        (y,) = kept(node, operands)
        for i in range(self.count):
            yield y * (1.0 / self.count) if self.merge == "add" else self._part(y, axis, i)

    def _part(self, x: Value, axis: int, i: int) -> Value:
        """The i-th of the nearly equal parts along an axis."""
        size = x.shape[axis]
        assert isinstance(size, int), "parts are taken of axes of a known size"
        bounds = [(i + k) * size // self.count for k in (0, 1)]
        starts = tuple(bounds[0] if a == axis else 0 for a in range(x.rank))
        stops = tuple(bounds[1] if a == axis else size for a, size in enumerate(x.shape))
        return apply(Slice(starts, stops, (1,) * x.rank), x)

    def _merged(self, branches: Iterator[Value], axis: int) -> Value:
        if self.merge == "concat":
            return apply(Concat(axis), *branches)
        total = next(branches)
        for branch in branches:
            total = total + branch
        mean: Value = build.multiply(total, 1.0 / self.count) if self.edges == "layers" else total
        return mean


def _grouped(node: Node) -> bool:
    return isinstance(node.op, Conv) and node.op.groups != 1
