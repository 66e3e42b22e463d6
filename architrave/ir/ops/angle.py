"""Inverse trigonometric functions, and hyperbolic ones."""

from __future__ import annotations

import math
from collections.abc import Iterator

from architrave.ir.arrays import Array, np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.arithmetic import RealBinary
from architrave.ir.ops.elementwise import Exp, Expm1, FloatUnary, Log, Log1p, Rsqrt, Sqrt
from architrave.ir.ops.logic import Cast, Equal, Where
from architrave.ir.types import DType, TensorType

_LOG_2 = math.log(2.0)


class Atan2(RealBinary):
    """The angle of the point `(b, a)`, from `-pi` to `pi`; a float. At the origin its gradient is 0."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        result = super().infer(a, b)
        return result.with_dtype(checks.floating(result.dtype))

    def reference(self, a: Array, b: Array) -> Array:
        return np.arctan2(a, b).astype(np.float64)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (g,), dtype = cotangents, results[0].dtype
        a, b = (x if x.dtype is dtype else apply(Cast(dtype), x) for x in operands)
        square = a * a + b * b
        turned = apply(Where(), apply(Equal(), square, 0), 0.0, g / square)
        return turned * b, -turned * a

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([1.0, -1.0, 2.0]), np.array([-1.0, -1.0, 0.0]))
        yield sample(np.array([-0.0, 0.0]), np.array([-1.0, -1.0]))


class Atan(FloatUnary):
    """The angle whose tangent is `x`, between `-pi / 2` and `pi / 2`."""

    def expand(self, x: Value) -> Value:
        return apply(Atan2(), x * 1.0, 1.0)

    def slope(self, x: Value, y: Value) -> Value:
        return 1.0 / (1.0 + x * x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([-np.inf, -1e300, 1e-300, np.inf]))


class _Bounded(FloatUnary, register=False):
    """Defined between -1 and 1; NaN beyond. At the ends the gradient is infinite."""

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([[-0.999, -0.5, -1e-9], [1e-300, 0.25, 0.9]]))
        yield sample(np.array(0.5))
        yield sample([0, 3])
        yield sample(np.array([-1.0, 0.0, 1.0, 1.5, -np.inf, np.nan]))
        yield sample(np.array([0, 0]))
        yield sample(typed(DType.BOOL, 2), error="E303")


class Asin(_Bounded):
    """The angle whose sine is `x`, from `-pi / 2` to `pi / 2`."""

    def expand(self, x: Value) -> Value:
        return apply(Atan2(), x * 1.0, _other_leg(x))

    def slope(self, x: Value, y: Value) -> Value:
        return apply(Rsqrt(), (1.0 - x) * (1.0 + x))


class Acos(_Bounded):
    """The angle whose cosine is `x`, from 0 to `pi`."""

    def expand(self, x: Value) -> Value:
        return apply(Atan2(), _other_leg(x), x * 1.0)

    def slope(self, x: Value, y: Value) -> Value:
        return -apply(Rsqrt(), (1.0 - x) * (1.0 + x))


class Sinh(FloatUnary):
    """`(exp(x) - exp(-x)) / 2`."""

    def expand(self, x: Value) -> Value:
        # Near 0 without the difference of nearly equal numbers, far out without an exponential that overflows first.
        size = _size(x)
        near = apply(Expm1(), apply(Where(), size > 20.0, 0.0, size))
        far = apply(Exp(), size - _LOG_2)
        return _odd(apply(Where(), size > 20.0, far, 0.5 * (near + near / (near + 1.0))), x)

    def slope(self, x: Value, y: Value) -> Value:
        return apply(Cosh(), x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([-10.0, -1e-8, 1e-300, 20.0]))
        yield sample(np.array([710.0, np.inf, -np.inf]))


class Cosh(FloatUnary):
    """`(exp(x) + exp(-x)) / 2`."""

    def expand(self, x: Value) -> Value:
        return apply(Exp(), x - _LOG_2) + apply(Exp(), -x - _LOG_2)

    def slope(self, x: Value, y: Value) -> Value:
        return apply(Sinh(), x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([-10.0, 1e-8, 20.0]))
        yield sample(np.array([710.0, np.inf, -np.inf]))


class Asinh(FloatUnary):
    """The number whose hyperbolic sine is `x`."""

    def expand(self, x: Value) -> Value:
        size = _size(x)
        large = size > 1e8
        near = apply(Where(), large, 0.0, size)
        square = near * near
        far = apply(Log(), apply(Where(), large, size, 1.0)) + _LOG_2
        y = apply(Where(), large, far, apply(Log1p(), near + square / (1.0 + apply(Sqrt(), square + 1.0))))
        return _odd(y, x)

    def slope(self, x: Value, y: Value) -> Value:
        return apply(Rsqrt(), x * x + 1.0)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([-1e10, -1e-10, 1e-300, 1e8, 1e10, np.inf, -np.inf]))


class Acosh(FloatUnary):
    """The number, not negative, whose hyperbolic cosine is `x`; NaN below 1. At 1 the gradient is infinite."""

    def expand(self, x: Value) -> Value:
        large = x > 1e8
        over = apply(Where(), large, 0.0, x - 1.0)
        far = apply(Log(), apply(Where(), large, x, 1.0)) + _LOG_2
        return apply(Where(), large, far, apply(Log1p(), over + apply(Sqrt(), over * (over + 2.0))))

    def slope(self, x: Value, y: Value) -> Value:
        return apply(Rsqrt(), (x - 1.0) * (x + 1.0))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([[1.001, 1.5, 2.0], [7.0, 1e8, 1e10]]))
        yield sample(np.array(3.0))
        yield sample([0, 3])
        yield sample(np.array([1.0, 0.5, -1.0, np.inf, np.nan]))
        yield sample(np.array([2, 9]))
        yield sample(typed(DType.BOOL, 2), error="E303")


class Atanh(_Bounded):
    """The number whose hyperbolic tangent is `x`; infinite at -1 and 1."""

    def expand(self, x: Value) -> Value:
        size = _size(x)
        return _odd(0.5 * apply(Log1p(), 2.0 * size / (1.0 - size)), x)

    def slope(self, x: Value, y: Value) -> Value:
        return 1.0 / ((1.0 - x) * (1.0 + x))


def _size(x: Value) -> Value:
    """`|x|`, with a slope at 0, which `_odd` needs."""
    return apply(Where(), x < 0, -x, x) * 1.0


def _odd(y: Value, x: Value) -> Value:
    """An odd function of `x` from its value `y` at `|x|`."""
    return apply(Where(), x < 0, -y, y)


def _other_leg(x: Value) -> Value:
    """`sqrt(1 - x**2)`, exact near the ends."""
    return apply(Sqrt(), (1.0 - x) * (1.0 + x))
