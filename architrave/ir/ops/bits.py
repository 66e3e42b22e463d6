"""The bits of integers, in two's complement, and of floats.

Exact on every backend. What is shifted further than a number is wide is gone (docs/numerics.md, "Bits").
"""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir import build
from architrave.ir.arrays import Array, held, np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, elementwise, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Cast
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast, promote

WIDTHS = {
    DType.U8: 8,
    DType.I8: 8,
    DType.I16: 16,
    DType.F16: 16,
    DType.BF16: 16,
    DType.U32: 32,
    DType.I32: 32,
    DType.F32: 32,
    DType.I64: 64,
    DType.F64: 64,
}
"""The bits of the dtypes that have a width."""


def _edges(dtype: DType) -> Array:
    """Numbers that have a bit at either end, all, none or some."""
    info = np.iinfo(held(dtype))
    return np.array([info.min, info.max, 0, 1, 90, info.max - 5], held(dtype))


class _Bitwise(Op, register=False):
    """Of integers, which broadcast and promote."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        for operand in (a, b):
            checks.integer(f"an operand of `{self.name}`", operand)
        return TensorType(promote(a.dtype, b.dtype), broadcast(a.shape, b.shape))

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for dtype in (DType.I32, DType.U32, DType.U8, DType.I8, DType.I16):
            yield sample(_edges(dtype), _edges(dtype)[::-1].copy())
        yield sample(np.array([[-3], [12]]), np.array([5, -7, 0]))
        yield sample(np.array([-3, 12], np.int8), np.array([200, 7], np.uint8))
        yield sample(typed(DType.I32, 0, 3), typed(DType.I32))
        yield sample(typed(DType.I32, 2), [2], error="E303")
        yield sample(typed(DType.BOOL, 2), typed(DType.BOOL, 2), error="E303")
        yield sample(typed(DType.I32, 2), typed(DType.I32, 3), error="E301")


class BitwiseAnd(_Bitwise):
    """The bits that are set in both."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.asarray(np.bitwise_and(a, b))


class BitwiseOr(_Bitwise):
    """The bits that are set in one, or in both."""

    def expand(self, a: Value, b: Value) -> Value:
        return a + b - apply(BitwiseAnd(), a, b)


class BitwiseXor(_Bitwise):
    """The bits that are set in one alone."""

    def expand(self, a: Value, b: Value) -> Value:
        both = apply(BitwiseAnd(), a, b)
        return a + b - both - both


class _OfBits(Op, register=False):
    """Of integers."""

    def infer(self, x: TensorType) -> TensorType:
        checks.integer(f"the operand of `{self.name}`", x)
        return x

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for dtype in (DType.I32, DType.U32, DType.U8, DType.I8, DType.I16):
            yield sample(_edges(dtype))
        yield sample(np.array([[3, 12], [0, 65535]], np.int32))
        yield sample(typed(DType.I32, 0, 3))
        yield sample(typed(DType.I32))
        yield sample([2], error="E303")
        yield sample(typed(DType.BOOL, 2), error="E303")


class BitwiseNot(_OfBits):
    """Every bit turned over."""

    def expand(self, x: Value) -> Value:
        return -x - 1


class _Shift(Op, register=False):
    """Of `x` by `count` bits each; `x` keeps its dtype. A count below 0 counts as one beyond the width."""

    def infer(self, x: TensorType, count: TensorType) -> TensorType:
        checks.integer(f"what `{self.name}` shifts", x)
        checks.integer(f"the count of `{self.name}`", count)
        return TensorType(x.dtype, broadcast(x.shape, count.shape))

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for dtype in (DType.I32, DType.U32, DType.U8, DType.I8, DType.I16):
            yield sample(_edges(dtype), np.array([0, 1, 3, 7, 4, 2]))
            yield sample(_edges(dtype)[:, None], np.array([-1, 8, 16, 31, 32, 100], np.int32))
        yield sample(np.array([[3, -12], [0, 65535]], np.int32), np.array([1, 4], np.uint8))
        yield sample(typed(DType.I32, 0, 3), typed(DType.I32))
        yield sample(typed(DType.I32, 2), [2], error="E303")
        yield sample([2], typed(DType.I32, 2), error="E303")
        yield sample(typed(DType.I32, 2), typed(DType.I32, 3), error="E301")


class ShiftLeft(_Shift):
    """Zeros come in from the right; everything is zero where all bits are shifted out."""

    def reference(self, x: Array, count: Array) -> Array:
        inside = (count >= 0) & (count < 8 * x.itemsize)
        return np.where(inside, x << np.where(inside, count, 0).astype(x.dtype), np.zeros((), x.dtype))


class ShiftRight(_Shift):
    """The sign comes in from the left, or zeros where `logical`."""

    logical: bool = False

    def reference(self, x: Array, count: Array) -> Array:
        inside = (count >= 0) & (count < 8 * x.itemsize)
        bits = x.view(f"u{x.itemsize}") if self.logical else x
        shifted = bits >> np.where(inside, count, 0).astype(bits.dtype)
        gone = np.where(bits < 0, -1, 0).astype(bits.dtype) if bits.dtype.kind == "i" else np.zeros((), bits.dtype)
        return np.where(inside, shifted, gone).view(x.dtype)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for case in super().samples():
            yield case
            if case.error is None:
                yield Sample(case.inputs, {"logical": True})


class Popcount(_OfBits):
    """How many bits are set; an i64."""

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(DType.I64)

    def expand(self, x: Value) -> Value:
        bits = (apply(BitwiseAnd(), apply(ShiftRight(), x, _whole(i, x)), _whole(1, x)) for i in range(WIDTHS[x.dtype]))
        return sum((apply(Cast(DType.I64), bit) for bit in bits), start=apply(Full(0, (), DType.I64)))


class Clz(_OfBits):
    """How many bits above the highest that is set, all of them for 0; an i64."""

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(DType.I64)

    def expand(self, x: Value) -> Value:
        # Every bit below the highest is set, too.
        width, step = WIDTHS[x.dtype], 1
        while step < width:
            x = apply(BitwiseOr(), x, apply(ShiftRight(logical=True), x, _whole(step, x)))
            step *= 2
        zeros: Value = build.popcount(apply(BitwiseNot(), x))
        return zeros


class Bitcast(Op):
    """The same bits as another dtype of the same width.

    `f32` goes with `i32` and `u32`, `f64` with `i64`, `f16` with `i16`, and integers with others; `i16` becomes `bf16`.
    """

    dtype: DType

    def infer(self, x: TensorType) -> TensorType:
        width = WIDTHS.get(x.dtype)
        if width is None or width != WIDTHS.get(self.dtype):
            hint = "cast it to f32 or f64 first" if x.dtype is DType.FLOAT else None
            raise error("E303", f"the bits of {x} are not those of a {self.dtype}", hint=hint)
        if x.dtype is DType.BF16 or (x.dtype.is_float and self.dtype.is_float):
            raise error("E303", f"the bits of {x} have no way to {self.dtype}", hint=_UPPER)
        return x.with_dtype(self.dtype)

    def reference(self, x: Array) -> Array:
        from architrave.ir.storage import numpy_dtype

        target = numpy_dtype(self.dtype)
        # A float arrives as a float64, whatever its width.
        stored = x.astype(f"f{target.itemsize}") if x.dtype.kind == "f" else x
        return stored.view(target).astype(held(self.dtype))

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(typed(DType.F32, 2, 3), dtype=DType.I32)
        yield sample(typed(DType.F32, 4), dtype=DType.U32)
        yield sample(typed(DType.F64, 3), dtype=DType.I64)
        yield sample(typed(DType.F16, 3), dtype=DType.I16)
        yield sample(np.array([0, 1, 0x3F800000, -0x80000000, 0x7F800000], np.int32), dtype=DType.F32)
        yield sample(np.array([0, 0xC0490FDB], np.uint32), dtype=DType.F32)
        yield sample(np.array([0, 1, 0x3C00, -0x4400], np.int16), dtype=DType.F16)
        yield sample(np.array([0, 1, 0x3F80, -0x4080], np.int16), dtype=DType.BF16)
        yield sample(_edges(DType.I32), dtype=DType.U32)
        yield sample(_edges(DType.U32), dtype=DType.I32)
        yield sample(_edges(DType.I8), dtype=DType.U8)
        yield sample(typed(DType.I32, 0), dtype=DType.F32)
        yield sample([2], dtype=DType.I64, error="E303")
        yield sample(typed(DType.F32, 2), dtype=DType.I64, error="E303")
        yield sample(typed(DType.BF16, 2), dtype=DType.I16, error="E303")
        yield sample(typed(DType.BOOL, 2), dtype=DType.U8, error="E303")


_UPPER = "a bf16 is the upper half of an f32: `shift_right(bitcast(cast(x, f32), i32), 16)`"


def _whole(number: int, like: Value) -> Value:
    return apply(Full(number, (), like.dtype))
