"""Contractions of the integers of quantized networks, and the way back from their sums to few bits.

Operands are i8 or u8, sums i32, as in ONNX. A zero point is subtracted before the product, and is an i32 that the
operand's own dtype could hold. Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (2018), 2.2; docs/numerics.md, "Integers of quantized networks".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from architrave.ir import build
from architrave.ir.arrays import Array, held, np
from architrave.ir.dims import Size, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, elementwise, sample, typed, without_gradient
from architrave.ir.ops.bits import Bitcast, BitwiseAnd, ShiftLeft, ShiftRight
from architrave.ir.ops.contraction import Linear, Matmul
from architrave.ir.ops.conv import Conv, kept_groups
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.quantize import bounds, holder
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast

if TYPE_CHECKING:
    from architrave.ir.axes.rest import Cut

SMALL = (DType.I8, DType.U8)
"""What is multiplied."""
MOST_BITS = 30
"""The widest integers that `requantize` gives: of 32 bits, one is for the sign, and one lets it see what is beyond."""


class _Contraction(Op, register=False):
    """A sum of products of i8 or u8, as an i32 that wraps around."""

    presumes = "zero points that the dtype of their operand holds"
    gradient = without_gradient

    def _checked(self, *operands: tuple[str, TensorType, TensorType | None]) -> None:
        """Raises E301 or E303 for an operand that is no i8 or u8, or a zero point that does not suit it."""
        for what, x, zero in operands:
            if x.dtype not in SMALL:
                raise error("E303", f"{what} of `{self.name}` must hold i8 or u8, not {x}", hint="`quantize` it first")
            _zero(f"the zero point of `{self.name}`", zero, x)

    def _biased(self, bias: TensorType | None) -> None:
        """Raises E303 for a bias that is no i32."""
        if bias is not None:
            _i32(f"the bias of `{self.name}`", bias)


class LinearInteger(_Contraction):
    """x [..., I], w [O, I], bias [O] -> i32 [..., O]: the sum of `(x - zero) * w`, and the bias, an i32.

    `zero` broadcasts against x.
    """

    def infer(
        self, x: TensorType, w: TensorType, zero: TensorType | None = None, bias: TensorType | None = None
    ) -> TensorType:
        self._checked(("the operand", x, zero), ("the weight", w, None))
        self._biased(bias)
        return Linear().infer(x, w, bias).with_dtype(DType.I32)

    def expand(self, x: Value, w: Value, zero: Value | None = None, bias: Value | None = None) -> Value:
        return apply(Linear(), _centred(x, zero), _centred(w), *([] if bias is None else [bias]))

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return results[0].size * operands[0].shape[-1]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for low, high in ((-128, -128), (-128, 127), (127, 127)):
            yield sample(_full(low, 3, 1500), _full(high, 2, 1500))
        yield sample(_full(255, 1, 700, unsigned=True), _full(-128, 2, 700))
        yield sample(_full(255, 2, 700, unsigned=True), _full(255, 2, 700, unsigned=True), np.array(0, np.int32))
        yield sample(_full(255, 1, 40000, unsigned=True), _full(255, 2, 40000, unsigned=True))
        yield sample(_full(-128, 2, 600), _full(-128, 5, 600), np.array(127, np.int32))
        yield sample(_drawn(4, 3, 33), _drawn(7, 33), np.array(-3, np.int32))
        yield sample(_drawn(4, 16, unsigned=True), _drawn(16, 16), np.array([[0], [255], [128], [7]], np.int32))
        yield sample(_drawn(64), _drawn(8, 64))
        yield sample(
            _full(127, 3, 8), _drawn(2, 8, unsigned=True), *_zeros(-128), np.array([2**31 - 1, -(2**31)], np.int32)
        )
        yield sample(_drawn(3, 1), _drawn(9, 1))
        yield sample(typed(DType.I8, 0, 3), typed(DType.I8, 4, 3))
        yield sample(typed(DType.I8, 2, 0), typed(DType.I8, 4, 0), np.array(1, np.int32))
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8, 0, 3))
        yield sample([2, 3], typed(DType.I8, 4, 3), error="E303")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I32, 4, 3), error="E303")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8, 4, 3), typed(DType.I8), error="E303")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8, 4, 3), typed(DType.I32, 5, 2, 3), error="E301")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8, 4, 3), typed(DType.I32), typed(DType.I8, 4), error="E303")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8, 4, 3), typed(DType.I32), typed(DType.I32, 3), error="E305")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8, 4, 2), error="E305")


class MatmulInteger(_Contraction):
    """The matrix product of `a - a_zero` and `b - b_zero` as i32, shaped as that of `matmul`.

    The zero points broadcast against their operands: `[M, 1]` is one for each row of a, `[N]` for each column of b.
    """

    def infer(
        self, a: TensorType, b: TensorType, a_zero: TensorType | None = None, b_zero: TensorType | None = None
    ) -> TensorType:
        self._checked(("the left side", a, a_zero), ("the right side", b, b_zero))
        return Matmul().infer(a, b).with_dtype(DType.I32)

    def expand(self, a: Value, b: Value, a_zero: Value | None = None, b_zero: Value | None = None) -> Value:
        return apply(Matmul(), _centred(a, a_zero), _centred(b, b_zero))

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return results[0].size * operands[0].shape[-1]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(_full(-128, 2, 1100), _full(-128, 1100, 3))
        yield sample(_full(255, 2, 300, unsigned=True), _full(0, 300, 2, unsigned=True), *_zeros(0, 255))
        yield sample(_full(255, 1, 40000, unsigned=True), _full(255, 40000, 1, unsigned=True))
        yield sample(_drawn(2, 1, 5, 24), _drawn(3, 24, 8, unsigned=True), *_zeros(-5, 130))
        yield sample(_drawn(3, 24), _drawn(24, 2), np.array([[0], [5], [-128]], np.int32), np.array([3, -4], np.int32))
        yield sample(_drawn(600), _drawn(600))
        yield sample(_drawn(24), _drawn(2, 24, 4), np.array(2, np.int32))
        yield sample(_drawn(2, 3, 24), _drawn(24))
        yield sample(typed(DType.I8, 0, 3), typed(DType.U8, 3, 4))
        yield sample(typed(DType.I8, 2, 0), typed(DType.I8, 0, 4))
        yield sample([2, 3], typed(DType.I8, 3, 4), error="E303")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8, 3, 4), typed(DType.I64), error="E303")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8, 4, 3), error="E305")
        yield sample(typed(DType.I8), typed(DType.I8, 3), error="E304")


class ConvInteger(_Contraction):
    """`conv` of `x - zero` with w, as i32: x [N, C, *S], w [O, C / groups, *K], bias [O], an i32 -> [N, O, *T].

    Outside x is `zero`, so that the difference is 0 there. `zero` broadcasts against x.
    """

    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    dilation: tuple[int, ...] = ()
    groups: Size = 1

    def infer(
        self, x: TensorType, w: TensorType, zero: TensorType | None = None, bias: TensorType | None = None
    ) -> TensorType:
        self._checked(("the operand", x, zero), ("the weight", w, None))
        self._biased(bias)
        return self._conv().infer(x, w, bias).with_dtype(DType.I32)

    def expand(self, x: Value, w: Value, zero: Value | None = None, bias: Value | None = None) -> Value:
        return apply(self._conv(), _centred(x, zero), _centred(w), *([] if bias is None else [bias]))

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return results[0].size * product(operands[1].shape[1:])

    def _conv(self) -> Conv:
        return Conv(self.stride, self.padding, self.dilation, self.groups)

    def cut(self, cut: Cut) -> ConvInteger:
        return dataclasses.replace(self, groups=kept_groups(self.groups, cut))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(_full(-128, 2, 70, 4, 4), _full(-128, 3, 70, 4, 4), padding=((1, 1), (1, 1)))
        yield sample(_full(255, 1, 30, 6, 5, unsigned=True), _full(-128, 3, 30, 5, 5), *_zeros(0))
        yield sample(_full(0, 1, 3, 30, unsigned=True), _full(127, 2, 3, 24), *_zeros(255), padding=((2, 2),))
        yield sample(_full(255, 1, 4000, 3, 3, unsigned=True), _full(255, 1, 4000, 3, 3, unsigned=True))
        yield sample(_full(255, 1, 2, 20, 20, unsigned=True), _full(255, 2, 1, 19, 20, unsigned=True), groups=2)
        yield sample(_drawn(2, 3, 9, 8), _drawn(4, 3, 3, 3), *_zeros(-7), padding=((1, 1), (1, 1)))
        yield sample(_drawn(2, 4, 9, 8), _drawn(6, 2, 3, 2), stride=(2, 1), padding=((1, 0), (0, 2)), groups=2)
        yield sample(_drawn(1, 4, 7), _drawn(4, 1, 3), *_zeros(3), padding=((2, 2),), dilation=(2,), groups=4)
        yield sample(_drawn(2, 4, 5, 5, unsigned=True), _drawn(8, 1, 2, 4), *_zeros(128), stride=(3, 2), groups=4)
        yield sample(_drawn(1, 2, 4, 5, 3), _drawn(3, 2, 2, 3, 1), stride=(1, 2, 1), padding=((1, 0), (1, 1), (0, 0)))
        yield sample(_drawn(2, 16, 6, 6, unsigned=True), _drawn(8, 16, 1, 1), *_zeros(11), stride=(2, 2))
        yield sample(_drawn(1, 3, 5), _drawn(2, 3, 3), np.array([[[1], [-2], [3]]], np.int32), padding=((1, 1),))
        yield sample(_drawn(2, 8), _drawn(4, 8))
        for groups in (1, 2, 4):
            bias = np.array([5, -(2**31), 2**31 - 1, 77], np.int32)
            yield sample(_drawn(2, 4, 5), _drawn(4, 4 // groups, 3), *_zeros(9), bias, groups=groups)
        yield sample(typed(DType.I8, 0, 3, 5, 5), typed(DType.I8, 4, 3, 3, 3))
        yield sample(typed(DType.I8, 1, 2, 5), [2, 2, 3], error="E303")
        yield sample(typed(DType.I8, 1, 2, 5), typed(DType.I8, 2, 3, 3), error="E305")
        yield sample(typed(DType.I8, 1, 2, 5), typed(DType.I8, 2, 2, 3), typed(DType.I32, 2), error="E301")
        yield sample(
            typed(DType.I8, 1, 2, 5), typed(DType.I8, 2, 2, 3), typed(DType.I32), typed(DType.I64, 2), error="E303"
        )
        yield sample(typed(DType.I8, 1, 2, 2), typed(DType.I8, 2, 2, 3), error="E307")


class Requantize(Op):
    """`acc * multiplier / 2**shift` rounded to the nearest integer, half to even, plus `zero`; within `bits`.

    The product is exact, of up to 62 bits. `multiplier` and `shift`, which `fixed_point` gives, and `zero` are i32 and
    broadcast against acc. The result is the narrowest integer type that holds it.
    """

    bits: int = 8
    signed: bool = True

    presumes = "multipliers that are not negative, shifts from 0 to 62, and zero points within the bounds"
    gradient = without_gradient

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest integer."""
        return bounds(self.bits, self.signed)

    def infer(
        self, acc: TensorType, multiplier: TensorType, shift: TensorType, zero: TensorType | None = None
    ) -> TensorType:
        least, most = (2, MOST_BITS) if self.signed else (1, MOST_BITS - 1)
        if not least <= self.bits <= most:
            raise error("E307", f"`{self.name}` to {self.bits} bits: {least} to {most} of them can be had")
        _i32(f"what `{self.name}` rounds", acc)
        for what, type in (("multiplier", multiplier), ("shift", shift), ("zero point", zero)):
            _zero(f"the {what} of `{self.name}`", type, acc)
        return acc.with_dtype(holder(self.bits, self.signed))

    def reference(self, acc: Array, multiplier: Array, shift: Array, zero: Array | None = None) -> Array:
        exact, shift = acc.astype(np.int64) * multiplier, shift.astype(np.int64)
        below = exact >> shift
        rest = exact - (below << shift)
        steps = below + (2 * rest + (below & 1) > np.int64(1) << shift) + (0 if zero is None else zero)
        return np.asarray(np.clip(steps, *self.bounds), held(holder(self.bits, self.signed)))

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        extremes = np.array([-(2**31), -(2**31) + 1, -(2**24) - 1, -3, -1, 0, 1, 2, 5, 2**30, 2**31 - 1], np.int32)
        multipliers = np.array([2**31 - 1, 2**30, 2**30 + 1, 1518500249, 3, 1, 0], np.int32)[:, None]
        for shift in (0, 1, 16, 30, 31, 32, 38, 53, 62):
            yield sample(np.tile(extremes, (7, 1)), multipliers, np.array(shift, np.int32), bits=30)
        ties = np.arange(-9, 10, dtype=np.int32)
        yield sample(ties, np.array(2**30, np.int32), np.array(31, np.int32))
        yield sample(ties * 3, np.array(2**30, np.int32), np.array(33, np.int32), *_zeros(-3))
        yield sample(ties * 999, np.array(1717986918, np.int32), np.array(34, np.int32), *_zeros(128), signed=False)
        channels = np.array([[1 << 30], [1300000000], [2**31 - 1]], np.int32), np.array([[33], [40], [62]], np.int32)
        yield sample(_sums(2, 3, 5), *channels, np.array([[1], [0], [-7]], np.int32))
        yield sample(extremes, np.array(2**31 - 1, np.int32), np.array(20, np.int32), *_zeros(2**29 - 1), bits=30)
        yield sample(extremes, np.array(2**31 - 1, np.int32), np.array(31, np.int32), *_zeros(-(2**29)), bits=30)
        yield sample(_sums(4, 4), np.array(2**30, np.int32), np.array(40, np.int32), bits=4)
        yield sample(_sums(4, 4), np.array(2**30, np.int32), np.array(32, np.int32), bits=16)
        yield sample(typed(DType.I32, 0, 3), typed(DType.I32), typed(DType.I32))
        yield sample(typed(DType.I64, 2), typed(DType.I32), typed(DType.I32), error="E303")
        yield sample(typed(DType.I32, 2), typed(DType.I64), typed(DType.I32), error="E303")
        yield sample(typed(DType.I32, 2), typed(DType.I32, 3, 1), typed(DType.I32), error="E301")
        yield sample(typed(DType.I32, 2), typed(DType.I32), typed(DType.I32), bits=31, error="E307")
        yield sample(typed(DType.I32, 2), typed(DType.I32), typed(DType.I32), bits=30, signed=False, error="E307")


class FixedPoint(Op):
    """The `multiplier` and `shift` of `requantize` that stand for a scale: `scale = multiplier / 2**shift`, as i32.

    It is exact for the scale in float32. The multiplier lies in `2**30 .. 2**31 - 1`; it is 0 where every product with
    an i32 rounds to 0, as it does of a scale that is 0, and for a scale that is negative or not finite. A scale of
    2**31 or more has the largest multiplier and no shift.
    """

    def infer(self, scale: TensorType) -> tuple[TensorType, TensorType]:
        if not scale.dtype.is_float:
            raise error("E303", f"the scale of `{self.name}` must hold floats, not {scale}")
        whole = scale.with_dtype(DType.I32)
        return whole, whole

    def expand(self, scale: Value) -> tuple[Value, Value]:
        bits = apply(Bitcast(DType.I32), apply(Cast(DType.F32), scale))
        # A negative number has a negative exponent here, and NaN and infinities the largest.
        exponent = apply(ShiftRight(), bits, _i32_of(23)) - 127
        mantissa = apply(BitwiseAnd(), bits, _i32_of(2**23 - 1)) + 2**23
        multiplier, shift = apply(ShiftLeft(), mantissa, _i32_of(7)), 30 - exponent
        ordinary: Value = build.logical_and(exponent >= -32, exponent < 128)
        large: Value = build.logical_and(ordinary, exponent > 30)
        multiplier = build.where(large, _i32_of(2**31 - 1), build.where(ordinary, multiplier, _i32_of(0)))
        shift = build.where(build.logical_and(ordinary, exponent <= 30), shift, _i32_of(0))
        return multiplier, shift

    gradient = without_gradient

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([1.0, 0.5, 0.1, 1 / 255, 3.0, 2.0**-32, 2.0**-33, 1e-30, 2.0**30, 2.0**31, 1e30]))
        yield sample(np.array([[0.0, -1.0, np.inf], [-np.inf, np.nan, 1e-45]]))
        yield sample(typed(DType.F32, 3))
        yield sample([])
        yield sample([0])
        yield sample(typed(DType.I32, 3), error="E303")


def _centred(x: Value, zero: Value | None = None) -> Value:
    wide = apply(Cast(DType.I32), x)
    return wide if zero is None else wide - zero


def _i32_of(number: int) -> Value:
    whole: Value = build.full(number, shape=[], dtype=DType.I32)
    return whole


def _i32(what: str, type: TensorType) -> None:
    if type.dtype is not DType.I32:
        raise error("E303", f"{what} must be an i32, not {type}", hint="cast it: `cast(x, i32)`")


def _zero(what: str, zero: TensorType | None, x: TensorType) -> None:
    """Raises E301 or E303 for what is no i32 that broadcasts to `x`."""
    if zero is None:
        return
    _i32(what, zero)
    if broadcast(x.shape, zero.shape) != x.shape:
        raise error("E301", f"{what} must broadcast to {x}, and {zero} would make it larger")


def _full(value: int, *shape: int, unsigned: bool = False) -> Array:
    return np.full(shape, value, np.uint8 if unsigned else np.int8)


def _drawn(*shape: int, unsigned: bool = False) -> Array:
    low, high = (0, 256) if unsigned else (-128, 128)
    return np.random.default_rng(len(shape)).integers(low, high, shape).astype(np.uint8 if unsigned else np.int8)


def _sums(*shape: int) -> Array:
    return np.random.default_rng(0).integers(-(2**20), 2**20, shape).astype(np.int32)


def _zeros(*values: int) -> list[Array]:
    return [np.array(value, np.int32) for value in values]
