"""Affine quantization: integers that stand for evenly spaced numbers.

A tensor `x` is held as integers `q`, and means `(q - zero) * scale`. `scale` and `zero` broadcast against it, so that
their shape is the granularity: `[]` for a scale of the whole tensor, `[C, 1, 1, 1]` for one of each output channel.
One rule rounds everywhere (docs/numerics.md, "Quantization"). Jacob et al., "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference" (2018).
"""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir import build
from architrave.ir.arrays import Array, held, np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, elementwise, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.logic import Cast
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast

MOST_BITS = 24
"""The widest integers that float32 holds exactly, beside their sign."""


def bounds(bits: int, signed: bool = True, narrow: bool = False) -> tuple[int, int]:
    """The least and the largest integer of `bits`; `narrow` leaves out the least, so that the range is symmetric."""
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1


def holder(bits: int, signed: bool = True) -> DType:
    """The narrowest dtype that holds integers of `bits`."""
    if bits <= 8:
        return DType.I8 if signed else DType.U8
    return DType.I16 if bits <= 16 - (not signed) else DType.I32


class _Quantizer(Op, register=False):
    """What the operators share that round to the integers of a format."""

    bits: int = 8
    signed: bool = True
    narrow: bool = False

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest integer."""
        return bounds(self.bits, self.signed, self.narrow)

    def infer(self, x: TensorType, scale: TensorType, zero: TensorType | None = None) -> TensorType:
        least = 2 if self.signed else 1
        if not least <= self.bits <= MOST_BITS:
            what = f"`{self.name}` to {self.bits} bits: {least} to {MOST_BITS} of them can be had"
            raise error("E307", what, hint=None if self.bits > 1 else "`signed = false` has the levels 0 and 1")
        if self.narrow and not self.signed:
            raise error("E307", f"`{self.name}`: `narrow` leaves out the least of signed integers, and these are not")
        _floating(f"what `{self.name}` rounds", x)
        _affine(self.name, x, scale, zero)
        return x.with_dtype(self._result(x))

    def _result(self, x: TensorType) -> DType:
        return holder(self.bits, self.signed)

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        ties = np.arange(-9.5, 9.5)[:, None] * np.array([0.02, 0.0173, 1 / 255, 0.1, 0.3]).astype(np.float32)
        steps = np.array([0.02, 0.0173, 1 / 255, 0.1, 0.3]).astype(np.float32).astype(np.float64)
        yield sample(ties.astype(np.float32).astype(np.float64), steps)
        yield sample(np.linspace(-4, 4, 33), np.array(0.25), np.array(3, np.int32), bits=4)
        yield sample(np.linspace(-4, 4, 33), np.array(0.25), np.array(128, np.int32), signed=False)
        yield sample(np.array([[-9.0, 9.0, 0.3], [0.4, -0.6, 0.1]]), np.array([[1.0], [0.125]]), bits=2, narrow=True)
        yield sample(np.array([np.inf, -np.inf, 1e30, -1e30, np.nan, 0.0]), np.array(0.5), np.array(7, np.int32))
        yield sample(np.linspace(-4, 4, 33), np.array(0.001), bits=16)
        yield sample(np.linspace(-4, 4, 33), np.array(0.25), bits=1, signed=False)
        yield sample([0, 3], np.array(0.5))
        yield sample([2], [2], bits=1, error="E307")
        yield sample([2], [2], bits=25, error="E307")
        yield sample([2], [2], signed=False, narrow=True, error="E307")
        yield sample(typed(DType.I32, 2), [2], error="E303")
        yield sample([2], typed(DType.I32, 2), error="E303")
        yield sample([2], [2], [2], error="E303")
        yield sample([2], [3], error="E301")
        yield sample([3], [2, 1], error="E301")


class Quantize(_Quantizer):
    """`x * (1 / scale)` rounded to the nearest integer, half to even, plus `zero`; within the integers of `bits`.

    The reciprocal and the product are float32, whatever the precision of the run. The result is the narrowest integer
    type that holds it; NaN gives `zero`. `zero` is an i32.
    """

    def reference(self, x: Array, scale: Array, zero: Array | None = None) -> Array:
        steps = np.rint(x.astype(np.float32) * (np.float32(1) / scale.astype(np.float32)))
        steps = np.where(np.isnan(steps), np.float32(0), steps) + (0.0 if zero is None else zero)
        return np.clip(steps, *self.bounds).astype(held(holder(self.bits, self.signed)))

    gradient = without_gradient

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([-2.0, 0.0, 2.0]), np.array([0.0, 0.0, 0.5]))


class Dequantize(Op):
    """`(q - zero) * scale`, of integers: the difference is an i32, the product has the dtype of `scale`."""

    def infer(self, q: TensorType, scale: TensorType, zero: TensorType | None = None) -> TensorType:
        checks.integer(f"what `{self.name}` reads", q)
        _affine(self.name, q, scale, zero)
        return q.with_dtype(scale.dtype)

    def expand(self, q: Value, scale: Value, zero: Value | None = None) -> Value:
        steps = q if zero is None else apply(Cast(DType.I32), q) - zero
        return apply(Cast(scale.dtype), steps) * scale

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.arange(-128, 128).astype(np.int8), np.array(0.1))
        yield sample(np.arange(0, 256).astype(np.uint8), np.array(0.0173), np.array(200, np.int32))
        yield sample(np.array([[1, -2], [3, 4]], np.int32), np.array([[0.1], [0.3]]), np.array([[5], [0]], np.int32))
        yield sample(np.array([2**24 + 1, -(2**31)], np.int32), np.array(1.0))
        yield sample(typed(DType.I8, 0, 3), np.array(0.1))
        yield sample([2], [2], error="E303")
        yield sample(typed(DType.I8, 2), typed(DType.I8, 2), error="E303")
        yield sample(typed(DType.I8, 2), [3], error="E301")


class FakeQuantize(_Quantizer):
    """`dequantize(quantize(x, scale, zero), scale, zero)`: what is left of `x` when it is held in few bits.

    NaN stays NaN. The gradient by `x` goes straight through between the bounds and is 0 outside. That by `scale` is
    the rounded minus the exact number of steps between the bounds, and the bound outside: Esser et al., "Learned Step
    Size Quantization" (2020), equation 3. It is multiplied by `gain`, for which they take `1 / sqrt(n * hi)` of n
    numbers. With `clipped_only` it is 0 between the bounds: Li et al., "PAMS" (2020), equation 5.
    """

    gain: float = 1.0
    clipped_only: bool = False

    presumes = "scales that are not 0"
    surrogate = "straight through the rounding"

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        x = np.linspace(-4.1, 4.3, 32).reshape(2, 16)
        yield sample(x, np.array([[0.25], [0.5]]), np.array([[3], [-1]], np.int32), bits=4, gain=0.125)
        yield sample(x, np.array([[0.25], [0.5]]), bits=4, narrow=True, clipped_only=True)

    def _result(self, x: TensorType) -> DType:
        return x.dtype

    def expand(self, x: Value, scale: Value, zero: Value | None = None) -> Value:
        offset = [] if zero is None else [zero]
        # In so many bits nothing that matters is cut off: what the bounds cut off can be seen.
        steps = apply(Quantize(MOST_BITS), x, scale, *offset)
        fixed = build.stop_gradient(scale)
        lo, hi = self.bounds
        inside: Value = build.logical_and(steps >= lo, steps <= hi)
        if self.clipped_only:
            scale = build.where(inside, fixed, scale)
        if self.gain != 1.0:
            scale = fixed + (scale - fixed) * self.gain
        y = apply(Dequantize(), build.clip(steps, lo=lo, hi=hi), apply(Cast(x.dtype), scale), *offset)
        exact = x if self.clipped_only else x - build.stop_gradient(x / fixed) * scale
        through = build.where(inside, exact, 0.0)
        result: Value = y + (through - build.stop_gradient(through))
        return result


def _floating(what: str, type: TensorType) -> None:
    if not type.dtype.is_float:
        raise error("E303", f"{what} must hold floats, not {type}")


def _affine(name: str, x: TensorType, scale: TensorType, zero: TensorType | None) -> None:
    """Raises E301 or E303 where `scale` and `zero` are none for `x`."""
    _floating(f"the scale of `{name}`", scale)
    if zero is not None and zero.dtype is not DType.I32:
        raise error("E303", f"the zero point of `{name}` must be an i32, not {zero}", hint="cast it: `cast(zero, i32)`")
    shapes = [scale.shape, *([] if zero is None else [zero.shape])]
    if broadcast(x.shape, *shapes) != x.shape:
        shown = " and ".join(map(str, (scale, *([] if zero is None else [zero]))))
        what = f"`{name}`: a scale and a zero point must broadcast to {x}, and {shown} would make it larger"
        raise error("E301", what, hint="one for each output channel of a kernel [O, I, K, K] is of [O, 1, 1, 1]")
