"""Rules for sums, means and concatenations of rounded tensors, whose scales differ."""

from __future__ import annotations

from architrave.ir import build
from architrave.ir.dims import divide, product
from architrave.ir.graph import Node, Value, apply
from architrave.ir.ops import checks
from architrave.ir.ops.adaptive import AdaptiveAvgPool
from architrave.ir.ops.arithmetic import Add, Subtract
from architrave.ir.ops.integer_pooling import FRACTION, MOST
from architrave.ir.ops.join import Concat, Stack
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.pooling import AvgPool
from architrave.ir.ops.quantize import Quantize
from architrave.ir.ops.reduce import Sum
from architrave.ir.ops.statistics import Mean
from architrave.ir.rewrite import kept
from architrave.ir.types import DType
from architrave.passes.journal import Declined
from architrave.passes.quantize.held import EIGHT_BITS, Held, held
from architrave.passes.quantize.rounded import MOVES
from architrave.passes.rewriter import Change, Walk

FINE = 2**20
"""Into how many parts the larger of two steps is divided where tensors are added."""


def integer_sum(node: Node, walk: Walk) -> Change:
    """Two tensors of 8 bits, added in parts of the larger of their steps."""
    if not isinstance(node.op, Add | Subtract):
        return None
    left, right = map(held, node.operands)
    if left is None or right is None:
        return None
    if any(side.q.dtype not in EIGHT_BITS for side in (left, right)):
        return Declined("an operand has more than 8 bits", node)
    largest: Value = build.maximum(build.max(left.scale), build.max(right.scale))
    a, b = (apply(Cast(DType.I32), build.round(side.scale / largest * float(FINE))) for side in (left, right))
    b = -b if isinstance(node.op, Subtract) else b
    zeros = [side.offset[0] * by for side, by in ((left, a), (right, b)) if side.zero is not None]
    bias = [-sum(zeros[1:], start=zeros[0])] if zeros else []
    return Held(build.add_integer(left.q, right.q, a, b, *bias), largest / float(FINE)).number()


def integer_mean(node: Node, walk: Walk) -> Change:
    """A mean over axes, or in windows, with bits behind the point."""
    if not isinstance(node.op, Mean | AvgPool | AdaptiveAvgPool):
        return None
    x = node.operands[0]
    source, pool = held(x), _pool(node.op, x)
    if source is None:
        return None
    if source.q.dtype not in EIGHT_BITS or not source.is_even:
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


def integer_total(node: Node, walk: Walk) -> Change:
    """A sum over axes of 8-bit integers."""
    source = held(node.operands[0]) if isinstance(node.op, Sum) else None
    if source is None or not isinstance(node.op, Sum) or not source.is_even or source.q.dtype not in EIGHT_BITS:
        return None
    shape = node.operands[0].shape
    count = product(shape[axis] for axis in checks.axis_set(node.op.axes, len(shape)))
    if not isinstance(count, int) or count * source.reach >= 2**31:
        return Declined(f"32 bits might not hold the sum of {count} elements", node)
    return Held(apply(Cast(DType.I32), apply(node.op, source.steps)), source.scale).number()


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


RULES = (integer_sum, integer_mean, integer_total, rounded_apart)


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
