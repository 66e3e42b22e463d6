"""Rules that move the way back to floats down the graph, until it meets the next rounding and both become one."""

from __future__ import annotations

from architrave.ir import build
from architrave.ir.graph import Node, Value, apply
from architrave.ir.ops.activation import Clip, Relu
from architrave.ir.ops.arithmetic import Divide, Multiply
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.piecewise import HardTanh, Relu6
from architrave.ir.ops.quantize import FakeQuantize, Quantize
from architrave.ir.rewrite import kept
from architrave.ir.types import DType
from architrave.passes.quantize.integers.held import Held, held
from architrave.passes.quantize.rounding.rounded import BOUNDED, MOVES
from architrave.passes.rewriter import Change, Walk

_WIDE = (DType.I8, DType.U8, DType.I16, DType.I32)


def two_roundings(node: Node, walk: Walk) -> Change:
    """`fake_quantize` is `dequantize` of `quantize`."""
    if not isinstance(node.op, FakeQuantize):
        return None
    x, scale, *zero = node.operands
    op = Quantize(node.op.bits, node.op.signed, node.op.narrow)
    return Held(apply(op, x, scale, *zero), scale, *zero).number()


def requantized(node: Node, walk: Walk) -> Change:
    """Rounding what integers hold needs a product of integers and a shift."""
    source = held(node.operands[0]) if isinstance(node.op, Quantize) else None
    if source is None or source.q.dtype not in _WIDE or not isinstance(node.op, Quantize):
        return None
    scale, zero = node.operands[1], node.operands[2] if len(node.operands) > 2 else None
    if (scale, zero, node.outputs[0].dtype) == (source.scale, source.zero, source.q.dtype) and _holds(node.op, source):
        return source.q
    multiplier, shift = build.fixed_point(source.scale / scale)
    factors = multiplier.named("multiplier"), shift.named("shift")
    result: Value = build.requantize(source.steps, *factors, zero, bits=node.op.bits, signed=node.op.signed)
    return build.maximum(result, node.op.bounds[0]) if node.op.narrow else result


def bounded_after(node: Node, walk: Walk) -> Change:
    """Rounding keeps the order of numbers: what is cut off at a bound may be cut off at the rounded bound after it."""
    if not isinstance(node.op, Quantize):
        return None
    x, *setting = node.operands
    limits = _limits(x)
    if limits is None or not _comes_of_integers(x.node.operands[0]):
        return None
    result = apply(node.op, x.node.operands[0], *setting)
    for limit, choose, name in zip(limits, (build.maximum, build.minimum), ("least", "most"), strict=True):
        if limit is not None:
            bound = apply(node.op, apply(Full(limit, (), x.dtype)), *setting).named(name)
            result = choose(result, bound)
    return result


def moved_as_integers(node: Node, walk: Walk) -> Change:
    """What moves or chooses elements moves the integers that hold them."""
    source = held(node.operands[0]) if isinstance(node.op, MOVES) else None
    if source is None or not source.is_even or (source.zero is not None and source.zero.rank):
        return None
    return tuple(Held(q, source.scale, source.zero).number() for q in kept(node, (source.q, *node.operands[1:])))


def number_into_scale(node: Node, walk: Walk) -> Change:
    """A positive number that multiplies goes into the scale."""
    if not isinstance(node.op, Multiply | Divide):
        return None
    a, b = node.operands
    source, factor = (held(a), b) if held(a) is not None or isinstance(node.op, Divide) else (held(b), a)
    if source is None or not isinstance(factor.op, Full) or not _is_positive(factor.op):
        return None
    scale = source.scale * factor if isinstance(node.op, Multiply) else source.scale / factor
    return Held(source.q, scale, source.zero).number()


def _holds(op: Quantize, source: Held) -> bool:
    """Whether a quantizer leaves all integers as they are that there may be."""
    return op.bounds[0] <= source.bounds[0] and source.bounds[1] <= op.bounds[1]


def _comes_of_integers(value: Value) -> bool:
    """Whether integers hold a value, or what it is but for its place and for bounds."""
    while isinstance(value.op, (*MOVES, *BOUNDED)):
        value = value.node.operands[0]
    return held(value) is not None


def _limits(value: Value) -> tuple[float | None, float | None] | None:
    """The bounds at which an operator cuts off; None for any other."""
    match value.op:
        case Relu():
            return 0.0, None
        case Relu6():
            return 0.0, 6.0
        case HardTanh(lo=lo, hi=hi):
            return lo, hi
        case Clip(lo=low, hi=high):
            return None if low is None else float(low), None if high is None else float(high)
        case _:
            return None


def _is_positive(number: Full) -> bool:
    return isinstance(number.value, int | float) and number.value > 0 and not number.shape


RULES = (two_roundings, requantized, bounded_after, moved_as_integers, number_into_scale)
