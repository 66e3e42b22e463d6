"""Rules for sums, means and concatenations of rounded tensors, whose scales differ."""

from __future__ import annotations

from dataclasses import replace

from architrave.ir import build
from architrave.ir.dims import divide, product
from architrave.ir.graph import Node, Value, apply
from architrave.ir.ops import checks
from architrave.ir.ops.adaptive import AdaptiveAvgPool
from architrave.ir.ops.arithmetic import Add, Divide, Multiply, Subtract
from architrave.ir.ops.integer_functions import divided
from architrave.ir.ops.integer_pooling import FRACTION, MOST
from architrave.ir.ops.join import Concat, Pad, Stack
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.pooling import AvgPool
from architrave.ir.ops.quantize import Quantize
from architrave.ir.ops.reduce import Sum
from architrave.ir.ops.statistics import Mean, Norm
from architrave.ir.rewrite import kept
from architrave.ir.types import DType
from architrave.passes.journal import Declined
from architrave.passes.quantize.integers.held import EIGHT_BITS, Held, held
from architrave.passes.quantize.rounding.rounded import MOVES
from architrave.passes.rewriter import Change, Walk

FINE = 2**20
"""Into how many parts the larger of two steps is divided where tensors are added."""
QUOTIENT = 2**14
"""Into how many parts the quotient of two steps is divided."""


def integer_sum(node: Node, walk: Walk) -> Change:
    """Two tensors of 8 bits, perhaps times weights that are one number, added in parts of the larger of their steps."""
    if not isinstance(node.op, Add | Subtract):
        return None
    left, right = (_scaled(v, walk) for v in node.operands)
    if left is None or right is None:
        return None
    if any(side.q.dtype not in EIGHT_BITS for side, _ in (left, right)):
        return Declined("an operand has more than 8 bits", node)
    sides = [side for side, _ in (left, right)]
    steps = [side.scale if factor is None else side.scale * factor for side, factor in (left, right)]
    largest: Value = build.maximum(*(build.max(build.abs(step)) for step in steps))
    largest = build.where(largest > 0.0, largest, 1.0)
    a, b = (apply(Cast(DType.I32), build.round(step / largest * float(FINE))) for step in steps)
    b = -b if isinstance(node.op, Subtract) else b
    zeros = [side.offset[0] * by for side, by in zip(sides, (a, b), strict=True) if side.zero is not None]
    bias = [-sum(zeros[1:], start=zeros[0])] if zeros else []
    return Held(build.add_integer(sides[0].q, sides[1].q, a, b, *bias), largest / float(FINE)).number()


def integer_mean(node: Node, walk: Walk) -> Change:
    """A mean over axes, or in windows, with bits behind the point."""
    if not isinstance(node.op, Mean | AvgPool | AdaptiveAvgPool):
        return None
    x = node.operands[0]
    source, pool = held(x), _pool(node.op, x)
    if source is None:
        return None
    if not _is_small(source):
        return Declined("what it reads is not rounded to 8 bits of one scale", node)
    if pool is None:
        return Declined("its windows differ in size", node)
    over = [x.shape[axis] for axis in checks.axis_set(pool.axes, x.rank)] if isinstance(pool, Mean) else pool.kernel
    count, name = product(over), "mean_integer" if isinstance(pool, Mean) else "average_pool_integer"
    if not isinstance(count, int) or count > MOST:
        return Declined(f"32 bits might not hold the sum of {count} elements", node)
    options = {attribute: getattr(pool, attribute) for attribute in pool.attributes}
    mean: Value = build.call(name, source.q, *source.offset, **options)
    return Held(mean, source.scale / float(2**FRACTION)).number()


def integer_length(node: Node, walk: Walk) -> Change:
    """The root of a sum of squares of 8-bit integers, with bits behind the point."""
    source = held(node.operands[0]) if isinstance(node.op, Norm) and node.op.order == 2.0 else None
    if source is None or not isinstance(node.op, Norm) or not _is_small(source):
        return None
    shape = node.operands[0].shape
    count = product(shape[axis] for axis in checks.axis_set(node.op.axes, len(shape)))
    if not isinstance(count, int) or count * source.reach**2 >= 2**31:
        return Declined(f"32 bits might not hold the squares of {count} elements", node)
    squares = apply(Cast(DType.I32), apply(Sum(node.op.axes, node.op.keep), source.steps * source.steps))
    multiplier, shift = build.rsqrt_integer(squares)
    root: Value = build.requantize(squares, multiplier, shift - FRACTION, bits=25)
    return Held(root, source.scale / float(2**FRACTION)).number()


def integer_total(node: Node, walk: Walk) -> Change:
    """A sum over axes of 8-bit integers."""
    source = held(node.operands[0]) if isinstance(node.op, Sum) else None
    if source is None or not isinstance(node.op, Sum) or not _is_small(source):
        return None
    shape = node.operands[0].shape
    count = product(shape[axis] for axis in checks.axis_set(node.op.axes, len(shape)))
    if not isinstance(count, int) or count * source.reach >= 2**31:
        return Declined(f"32 bits might not hold the sum of {count} elements", node)
    return Held(apply(Cast(DType.I32), apply(node.op, source.steps)), source.scale).number()


def integer_quotient(node: Node, walk: Walk) -> Change:
    """A tensor of 8 bits divided by another, with bits behind the point."""
    if not isinstance(node.op, Divide):
        return None
    left, right = map(held, node.operands)
    if left is None or right is None or not (_is_small(left) and _is_small(right)):
        return None
    negative: Value = right.steps < 0
    below: Value = build.abs(right.steps)
    above: Value = build.where(negative, -left.steps, left.steps) * QUOTIENT
    return Held(divided(above, below), left.scale / right.scale / float(QUOTIENT)).number()


def padded_as_integers(node: Node, walk: Walk) -> Change:
    """Zeros around what integers hold are its zero point; what is repeated is repeated."""
    source = held(node.operands[0]) if isinstance(node.op, Pad) else None
    if source is None or not isinstance(node.op, Pad) or not source.is_even:
        return None
    if node.op.mode != "constant" or (source.zero is None and node.op.value == 0):
        return replace(source, q=apply(node.op, source.q)).number()
    if node.op.value != 0 or source.zero is None or source.zero.rank:
        return None
    q = apply(Cast(source.q.dtype), apply(replace(node.op, value=0), source.steps) + source.zero)
    return replace(source, q=q).number()


def rounded_apart(node: Node, walk: Walk) -> Change:
    """What is moved, or joined to others, and rounded then may be rounded before."""
    if not isinstance(node.op, Quantize) or not isinstance(node.operands[0].op, (Concat, Stack, *MOVES)):
        return None
    x, *setting = node.operands
    count = len(x.node.operands) if isinstance(x.op, Concat | Stack) else 1
    parts = x.node.operands[:count]
    if any(v.rank for v in setting) or not all(held(part) is not None or _is_of_weights(part, walk) for part in parts):
        return None
    rounded = (apply(node.op, part, *setting) for part in parts)
    return kept(x.node, (*rounded, *x.node.operands[count:]))


RULES = (
    *(integer_sum, integer_quotient, integer_mean, integer_length, integer_total),
    *(padded_as_integers, rounded_apart),
)


def _is_small(source: Held) -> bool:
    """Whether integers of 8 bits with one scale hold a tensor."""
    return source.q.dtype in EIGHT_BITS and source.is_even


def _scaled(value: Value, walk: Walk) -> tuple[Held, Value | None] | None:
    """What integers hold, and the number that it is multiplied by, if any: a weight, whose sign is not known."""
    if (source := held(value)) is not None:
        return source, None
    if not isinstance(value.op, Multiply):
        return None
    for x, factor in (value.node.operands, value.node.operands[::-1]):
        source = held(x)
        if source is not None and factor in walk.static and not factor.rank:
            return source, factor
    return None


def _is_of_weights(value: Value, walk: Walk) -> bool:
    """Whether a value is one that weights alone make, perhaps as often as there are examples."""
    while isinstance(value.op, MOVES) and value not in walk.static:
        value = value.node.operands[0]
    return value in walk.static


def _pool(op: object, x: Value) -> Mean | AvgPool | None:
    """A mean over axes, or in windows of one size; None where windows differ."""
    if isinstance(op, Mean | AvgPool):
        return op
    assert isinstance(op, AdaptiveAvgPool)
    kernel = [divide(size, count) for size, count in zip(x.shape[x.rank - len(op.size) :], op.size, strict=True)]
    if all(count == 1 for count in op.size):
        return Mean(tuple(range(x.rank - len(op.size), x.rank)), keep=True)
    return AvgPool(tuple(k for k in kernel if isinstance(k, int))) if all(isinstance(k, int) for k in kernel) else None
