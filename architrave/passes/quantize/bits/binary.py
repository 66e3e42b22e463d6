"""Layers of signs, -1 and 1, as bits."""

from __future__ import annotations

from dataclasses import dataclass

from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.op import Op
from architrave.ir.ops.arithmetic import Multiply
from architrave.ir.ops.binary import Binarize
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.shape import Flatten, Reshape, Transpose
from architrave.ir.ops.xnor import ConvBinary, LinearBinary, pack_signs
from architrave.passes.base import Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select

MOVES: tuple[type[Op], ...] = (Flatten, Reshape, Transpose)
"""What of signs makes the same signs at other places."""


class Binary(Pass):
    """Fully connected layers and convolutions of signs compare bits, and give the same whole numbers.

    What `binarize` makes of the input and of the weight is held as bits, times a scale or not, which is then taken out
    of the sum. `hoist` then leaves the bits as the weight, a byte for eight. Nothing flows back through bits: it is for
    networks that have been trained. Rastegari and others, "XNOR-Net" (2016).
    """

    for_inference = True
    only: Select = option(Select(), "which layers: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Scales are taken out of sums where they are the same for all that is summed."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        return rewrite(graph, [signs_to_bits], journal, self.only)


@dataclass(frozen=True)
class _Signs:
    """An operand that is signs, times a scale or not. `positive` is where they are 1, as truth values."""

    positive: Value
    scale: Value | None = None

    @classmethod
    def of(cls, value: Value) -> _Signs | None:
        """What an operand is; None where it is no signs."""
        if isinstance(value.op, Multiply):
            a, b = value.node.operands
            pairs = ((_positive(signs), scale) for signs, scale in ((a, b), (b, a)) if signs.shape == value.shape)
            return next((cls(positive, scale) for positive, scale in pairs if positive is not None), None)
        positive = _positive(value)
        return None if positive is None else cls(positive)

    def is_along(self, count: int) -> bool:
        """Whether the scale differs along the first `count` axes alone."""
        shape = () if self.scale is None else self.scale.shape
        whole = (1,) * (self.positive.rank - len(shape)) + shape
        return all(size == 1 for size in whole[count:])


def signs_to_bits(node: Node, walk: Walk) -> Change:
    """A sum of products of signs."""
    if not isinstance(node.op, Linear | Conv):
        return None
    x, weight = (_Signs.of(v) for v in node.operands[:2])
    if x is None or weight is None:
        return _alone(node, x, weight)
    if weight.positive not in walk.static:
        return Declined("its weight depends on the input", node)
    summed = 1 if isinstance(node.op, Linear) else x.positive.rank - 1
    if not x.is_along(x.positive.rank - summed) or not weight.is_along(1):
        return Declined("its scales differ among the signs of one sum", node)
    y = apply(Cast(node.outputs[0].dtype), _contracted(node.op, x, weight))
    y = y if x.scale is None else y * x.scale
    along = (-1,) if isinstance(node.op, Linear) else (-1, *(1,) * (y.rank - 2))
    y = y if weight.scale is None else y * apply(Reshape(along), weight.scale)
    return y if len(node.operands) < 3 else y + apply(Reshape(along), node.operands[2])


def _positive(value: Value) -> Value | None:
    """Where signs are 1; None of what is no signs."""
    moves: list[Op] = []
    while isinstance(value.op, MOVES):
        moves.append(value.op)
        (value,) = value.node.operands
    if not isinstance(value.op, Binarize):
        return None
    positive: Value = value.node.operands[0] >= 0
    for move in reversed(moves):
        positive = apply(move, positive)
    return positive


def _contracted(op: Linear | Conv, x: _Signs, weight: _Signs) -> Value:
    """The sums as whole numbers."""
    if isinstance(op, Linear):
        return apply(LinearBinary(), x.positive, pack_signs(weight.positive).named("weight"))
    rank = weight.positive.rank
    channels_last = apply(Transpose((0, *range(2, rank), 1)), weight.positive)
    kind = ConvBinary(op.stride, op.padding, op.dilation, op.groups)
    return apply(kind, x.positive, pack_signs(channels_last).named("weight"))


def _alone(node: Node, x: _Signs | None, weight: _Signs | None) -> Change:
    """Why a layer of which one operand alone is signs stays as it is."""
    if x is None and weight is None:
        return None
    return Declined("its weight is signs, but not its input" if x is None else "its input is signs alone", node)
