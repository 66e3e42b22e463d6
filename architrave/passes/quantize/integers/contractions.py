"""Rules that make contractions of rounded operands contractions of integers."""

from __future__ import annotations

import re

from architrave.ir import build
from architrave.ir.dims import product
from architrave.ir.graph import Node, Value, apply
from architrave.ir.ops.contraction import Einsum, Linear, Matmul
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.ir.types import DType
from architrave.passes.journal import Declined
from architrave.passes.quantize.integers.held import EIGHT_BITS, LARGEST_BIAS, Held, held, in_steps
from architrave.passes.reparam.affine import channelwise
from architrave.passes.rewriter import Change, Walk

ROOM = 2**31 - 1 - LARGEST_BIAS
"""What 32 bits hold beside a bias."""


def integer_layer(node: Node, walk: Walk) -> Change:
    """A convolution or a fully connected layer: integers summed in 32 bits, and the bias added to the sum."""
    if not isinstance(node.op, Conv | Linear):
        return None
    x, weight, *bias = node.operands
    source, kernel = held(x), held(weight)
    if source is None or kernel is None:
        return _half(node, source, kernel, weight in walk.static)
    channels = product(weight.shape[1:])
    if (reason := _problem(source, kernel, channels)) is not None:
        return Declined(reason, node)
    if kernel.zero is not None or any(size != 1 for size in kernel.scale.shape[1:]):
        return Declined("its weight has a zero point, or scales for groups of inputs", node)
    outputs = kernel.scale if kernel.scale.rank == 0 else apply(Reshape(weight.shape[:1]), kernel.scale)
    scale = source.scale * outputs
    steps = [in_steps(bias[0], scale)] if bias else []
    zero = _offsets(source) if bias else source.offset
    if isinstance(node.op, Conv):
        window = {name: getattr(node.op, name) for name in ("stride", "padding", "dilation", "groups")}
        total: Value = build.conv_integer(source.q, kernel.q, *zero, *steps, **window)
    else:
        total = build.linear_integer(source.q, kernel.q, *zero, *steps)
    axis = 1 if isinstance(node.op, Conv) else total.rank - 1
    return Held(total, channelwise(scale, axis, total.rank)).number()


def integer_product(node: Node, walk: Walk) -> Change:
    """A product of matrices, both of which depend on the input."""
    operands = _matrices(node)
    if operands is None:
        return None
    left, right = map(held, operands)
    if left is None or right is None:
        return _half(node, left, right, False)
    if (reason := _problem(left, right, operands[0].shape[-1])) is not None:
        return Declined(reason, node)
    if not right.is_even:
        return Declined("its right operand has more than one scale", node)
    zeros = [] if left.zero is None and right.zero is None else _offsets(left, right)
    total: Value = build.matmul_integer(left.q, right.q, *zeros)
    return Held(total, left.scale * right.scale).number()


RULES = (integer_layer, integer_product)


def _half(node: Node, left: Held | None, right: Held | None, right_is_weight: bool) -> Declined | None:
    """Why a contraction stays in floats; nothing where none of its operands is rounded."""
    if left is None and right is None:
        return None
    missing = "its weight" if right is None and right_is_weight else "one of its operands"
    return Declined(f"{missing} is not rounded", node)


def _offsets(*sides: Held) -> list[Value]:
    """The zero point of each, 0 where it has none."""
    return [side.offset[0] if side.zero is not None else build.full(0, shape=[], dtype=DType.I32) for side in sides]


def _problem(left: Held, right: Held, count: object) -> str | None:
    """Why two tensors cannot be contracted over `count` elements as integers."""
    if left.q.dtype not in EIGHT_BITS or right.q.dtype not in EIGHT_BITS:
        return "an operand has more than 8 bits"
    if not left.is_even:
        return "its operand has more than one scale"
    if not isinstance(count, int):
        return "how many products are summed is known in the run alone: 32 bits might not hold the sum"
    if count * left.reach * right.reach > ROOM:
        return f"32 bits might not hold the sum of {count} products"
    return None


def _matrices(node: Node) -> tuple[Value, Value] | None:
    """The operands of a product of matrices `[..., i, j] @ [..., j, k]`, however it is written."""
    if isinstance(node.op, Matmul) and min(v.rank for v in node.operands) >= 2:
        return node.operands[0], node.operands[1]
    if not isinstance(node.op, Einsum) or len(node.operands) != 2:
        return None
    equation = re.fullmatch(r"(\.\.\.|\w*)(\w)(\w),(\.\.\.|\w*)(\w)(\w)->(\.\.\.|\w*)(\w)(\w)", node.op.equation)
    if equation is None or len({equation[1], equation[4], equation[7]}) > 1:
        return None
    a, b = node.operands
    _, *left, _, k, m, _, row, column = equation.groups()
    if [*left, m] == [row, k, column]:
        return a, b
    return (a, _turned(b)) if [*left, k] == [row, m, column] else None


def _turned(value: Value) -> Value:
    """The transposes of matrices; of those that integers hold, the integers'."""
    source = held(value)
    axes = (*range(value.rank - 2), value.rank - 1, value.rank - 2)
    if source is None or not source.is_even:
        return apply(Transpose(axes), value)
    return Held(apply(Transpose(axes), source.q), source.scale, source.zero).number()
