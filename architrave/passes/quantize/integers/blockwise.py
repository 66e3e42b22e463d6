"""Matrices cut into blocks, each with a scale of its own that is a power of two.

Dong, Chen, Wang and others, "Blockwise Compression of Transformer-based Models without Retraining" (BCT, 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from architrave.ir import build
from architrave.ir.arrays import known
from architrave.ir.dims import divide
from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.leaves import Full, Initial, Param, path_of
from architrave.ir.ops.quantize import FakeQuantize
from architrave.ir.ops.shape import Reshape
from architrave.ir.place import marked
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.passes.base import Keeps, Pass, Prepare, Rewritten, option
from architrave.passes.hoist import free
from architrave.passes.journal import Declined, Journal
from architrave.passes.select import Select


class Blockwise(Pass):
    """Fully connected layers round their weights in square blocks and what they are given in rows of such blocks.

    Each block has a scale that is a power of two: the smallest that cuts nothing off in a weight, 1 for activations
    until calibration sets it (`calibrate(..., power_of_two = true)`). `blockwise-integer` then multiplies integers.
    """

    keeps = Keeps.LOSSY
    bits: int = option(4, "of weights")
    act: int = option(8, "of activations; 0 leaves them as they are")
    block: int = option(64, "how many inputs, and outputs, a block has")
    only: Select = option(Select(), "which layers: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Rewritten:
        """Scales lie beside weights, `weight_scale`, and at the place of the layer, `x_scale`."""
        self._check()
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        new = _Blocks(self, {path_of(w) for w in graph.weights})

        def offered(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            chosen = isinstance(node.op, Linear) and self.only.matches(node)
            if not chosen or any(fact.name == "keep" for fact in node.facts):
                return None
            x, weight = operands[:2]
            if not isinstance(weight.op, Param):
                journal.refused("blockwise", Declined("its weight is no parameter", node))
                return None
            if None in (divide(size, self._size(size)) for size in map(known, weight.shape)):
                reason = f"blocks of {self.block} do not divide its weight"
                journal.refused("blockwise", Declined(reason, node))
                return None
            journal.changed("blockwise", node)
            with marked(place=node.place, span=node.span):
                return kept(node, (new.activation(x, node) if self.act else x, new.weight(weight), *operands[2:]))

        after = rebuild(graph, offered)
        weights = (*after.weights, *new.starts)
        values = tuple(new.starts.get(w, w) for w in weights)
        prepare = Graph(f"{graph.name}_prepare", (), values, weights=graph.weights)
        return Rewritten(replace(after, weights=weights), Prepare(prepare, tuple(map(path_of, weights))))

    def _check(self) -> None:
        """Raises E803 for bits or blocks that cannot be had."""
        for name, bits, allowed in (("bits", self.bits, range(2, 9)), ("act", self.act, (0, *range(2, 9)))):
            if bits not in allowed:
                raise error("E803", f"`blockwise{{{name}}}` takes from 2 to 8 bits, not {bits}")
        if self.block < 1:
            raise error("E803", f"`blockwise{{block}}` is a number above 0, not {self.block}")

    def _size(self, size: int) -> int:
        """How long a block is along an axis: the whole axis, if that is shorter."""
        return min(self.block, size)

    def split(self, size: int) -> tuple[int, int]:
        """How many blocks there are along an axis, and how long each is."""
        return size // self._size(size), self._size(size)


@dataclass
class _Blocks:
    """The quantizers of blocks as they are made, and how their scales begin."""

    options: Blockwise
    taken: set[str]
    starts: dict[Value, Value] = field(default_factory=dict[Value, Value])
    made: dict[Value, Value] = field(default_factory=dict[Value, Value])

    def weight(self, weight: Value) -> Value:
        """A weight [O, I], rounded."""
        if weight not in self.made:
            (rows, height), (columns, width) = (self.options.split(known(size)) for size in weight.shape)
            blocks = apply(Reshape((rows, height, columns, width)), weight)
            op = FakeQuantize(self.options.bits, narrow=True)
            largest: Value = build.max(build.abs(blocks), axes=(1, 3), keep=True)
            exponent: Value = build.ceil(build.log2(build.where(largest > 0.0, largest, 1.0) / float(op.bounds[1])))
            scale = self._scale(f"{path_of(weight)}_scale", (rows, 1, columns, 1), weight, build.exp2(exponent))
            self.made[weight] = apply(Reshape(weight.shape), apply(op, blocks, scale))
        return self.made[weight]

    def activation(self, x: Value, node: Node) -> Value:
        """What a layer is given, rounded along its last axis."""
        if x not in self.made:
            columns, width = self.options.split(known(x.shape[-1]))
            path = ".".join(filter(None, (str(node.place or ""), "x_scale")))
            scale = self._scale(path, (columns, 1), x, apply(Full(1.0, (columns, 1), x.dtype)))
            blocks = apply(Reshape((*x.shape[:-1], columns, width)), x)
            rounded = apply(FakeQuantize(self.options.act, narrow=True), blocks, scale)
            self.made[x] = apply(Reshape(x.shape), rounded)
        return self.made[x]

    def _scale(self, path: str, shape: tuple[int, ...], like: Value, start: Value) -> Value:
        leaf = apply(Param(free(path, self.taken), TensorType(like.dtype, shape), Initial("ones"))).named("scale")
        self.starts[leaf] = start
        return leaf
