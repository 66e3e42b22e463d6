"""A tensor as the integers that hold it."""

from __future__ import annotations

from dataclasses import dataclass

from architrave.ir import build
from architrave.ir.graph import Value, apply
from architrave.ir.ops.bits import WIDTHS
from architrave.ir.ops.integer import Requantize
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.quantize import Dequantize, Quantize, bounds
from architrave.ir.types import DType
from architrave.passes.quantize.rounding.rounded import MOVES

EIGHT_BITS = (DType.I8, DType.U8)
LARGEST_BIAS = 2**30
"""What is added to a sum of products is cut off here, in its steps: the rest of 32 bits is left for the products."""


@dataclass(frozen=True)
class Held:
    """`(q - zero) * scale`. Scales are positive; those of quantizers are in their range, and so are zero points."""

    q: Value
    scale: Value
    zero: Value | None = None

    @property
    def is_even(self) -> bool:
        """Whether one scale holds for all elements."""
        return self.scale.rank == 0

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest integer that `q` can be."""
        q = self.q
        while isinstance(q.op, MOVES):
            q = q.node.operands[0]
        match q.op:
            case Quantize() | Requantize():
                return q.op.bounds
            case _:
                return bounds(WIDTHS[q.dtype], q.dtype is not DType.U8)

    @property
    def reach(self) -> int:
        """The largest that `q - zero` is, without its sign."""
        lo, hi = self.bounds
        return hi - lo if self.zero is not None else max(-lo, hi)

    @property
    def offset(self) -> list[Value]:
        """The zero point as an operand, within the bounds of the integers: overflow is ruled out by these."""
        if self.zero is None:
            return []
        lo, hi = (0, 255) if self.q.dtype is DType.U8 else (-128, 127)
        return [build.clip(self.zero, lo=lo, hi=hi).named("zero")]

    @property
    def steps(self) -> Value:
        """`q - zero`, as i32."""
        wide = apply(Cast(DType.I32), self.q)
        return wide if self.zero is None else wide - self.zero

    def number(self) -> Value:
        """The tensor itself."""
        return apply(Dequantize(), self.q, self.scale.named("scale"), *([] if self.zero is None else [self.zero]))


def held(value: Value) -> Held | None:
    """How a value is held; None for floats."""
    return Held(*value.node.operands) if isinstance(value.op, Dequantize) else None


def in_steps(bias: Value, scale: Value) -> Value:
    """What is added to integers of a scale, as such integers."""
    steps = build.clip(build.round(bias / scale), lo=float(-LARGEST_BIAS), hi=float(LARGEST_BIAS))
    return apply(Cast(DType.I32), steps).named("bias")
