"""Functions of one number, applied to each element."""

from __future__ import annotations

import math
from collections.abc import Iterator

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, elementwise, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.types import DType, TensorType, part_of


class _Unary(Op, register=False):
    """Integers stay integers. A subclass gives its `slope`, or is `without_gradient`."""

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric(f"`{self.name}`", x)
        return x

    def slope(self, x: Value, y: Value) -> Value:
        """The derivative at `x`, where the function is `y`."""
        raise NotImplementedError(f"{self.name} has no slope")

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (cotangents[0] * conjugate(self.slope(operands[0], results[0])),)

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3])
        yield sample([])
        yield sample([0, 3])
        yield sample(np.array([-2.5, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5, 3.5]))
        yield sample(np.array([-3, 0, 2]))
        yield sample(typed(DType.BOOL, 2), error="E303")


class RealUnary(_Unary, register=False):
    """Integers stay integers; complex numbers are rejected."""

    def infer(self, x: TensorType) -> TensorType:
        checks.real(f"`{self.name}`", x)
        return super().infer(x)


class FloatUnary(RealUnary, register=False):
    """The result is a float, of integers too."""

    def infer(self, x: TensorType) -> TensorType:
        result = super().infer(x)
        return result.with_dtype(checks.floating(x.dtype))


class _ComplexUnary(_Unary, register=False):
    """The result is a float, of integers too, and complex of complex numbers."""

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(checks.floating(x.dtype))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([1 + 2j, -0.5 + 0.25j, -3 - 1j, 0.1 - 2j]))


class PositiveUnary(FloatUnary, register=False):
    """Defined for positive numbers; NaN below zero."""

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([[1e-3, 0.5, 1.0], [2.0, 3.5, 100.0]]))
        yield sample(np.array(2.0))
        yield sample([0, 3])
        yield sample(np.array([1, 4, 9]))
        yield sample(typed(DType.BOOL, 2), error="E303")


class Negative(_Unary):
    """`-x`."""

    vanishes = "sum"

    def reference(self, x: Array) -> Array:
        return -x

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (-cotangents[0],)


class Abs(_Unary):
    """`|x|`; of complex numbers a float."""

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(part_of(x.dtype))

    def reference(self, x: Array) -> Array:
        return np.abs(x)

    def slope(self, x: Value, y: Value) -> Value:
        if not x.dtype.is_complex:
            return apply(Sign(), x)
        # Conjugated, as slopes of complex functions are.
        zero = build.equal(y, 0)
        slope: Value = build.where(zero, 0.0, build.conj(x) / build.where(zero, 1.0, y))
        return slope


class Sign(RealUnary):
    """-1, 0 or 1; NaN of NaN."""

    def reference(self, x: Array) -> Array:
        return np.sign(x)

    gradient = without_gradient


class Exp(_ComplexUnary):
    """`e ** x`."""

    def reference(self, x: Array) -> Array:
        return np.exp(x)

    def slope(self, x: Value, y: Value) -> Value:
        return y


class Log(_ComplexUnary):
    """The natural logarithm; of complex numbers the one with an angle from `-pi` to `pi`."""

    def reference(self, x: Array) -> Array:
        return np.log(x)

    def slope(self, x: Value, y: Value) -> Value:
        return 1.0 / x


class Log1p(PositiveUnary):
    """`log(1 + x)`, exact near 0."""

    def reference(self, x: Array) -> Array:
        return np.log1p(x)

    def slope(self, x: Value, y: Value) -> Value:
        return 1.0 / (1.0 + x)


class Expm1(FloatUnary):
    """`exp(x) - 1`, exact near 0."""

    def reference(self, x: Array) -> Array:
        return np.expm1(x)

    def slope(self, x: Value, y: Value) -> Value:
        return apply(Exp(), x)


class Sqrt(_ComplexUnary):
    """The square root; of complex numbers the one whose real part is not negative."""

    def reference(self, x: Array) -> Array:
        return np.sqrt(x)

    def slope(self, x: Value, y: Value) -> Value:
        return 0.5 / y


class Rsqrt(PositiveUnary):
    """`1 / sqrt(x)`."""

    def reference(self, x: Array) -> Array:
        return 1.0 / np.sqrt(x)

    def slope(self, x: Value, y: Value) -> Value:
        return -0.5 * (y * y * y)


class Sin(FloatUnary):
    """The sine of an angle in radians."""

    def reference(self, x: Array) -> Array:
        return np.sin(x)

    def slope(self, x: Value, y: Value) -> Value:
        return apply(Cos(), x)


class Cos(FloatUnary):
    """The cosine of an angle in radians."""

    def reference(self, x: Array) -> Array:
        return np.cos(x)

    def slope(self, x: Value, y: Value) -> Value:
        return -apply(Sin(), x)


class Tan(FloatUnary):
    """The tangent of an angle in radians."""

    def reference(self, x: Array) -> Array:
        return np.tan(x)

    def slope(self, x: Value, y: Value) -> Value:
        return 1.0 + y * y


class Tanh(FloatUnary):
    """The hyperbolic tangent."""

    def reference(self, x: Array) -> Array:
        return np.tanh(x)

    def slope(self, x: Value, y: Value) -> Value:
        return 1.0 - y * y


class Sigmoid(FloatUnary):
    """`1 / (1 + exp(-x))`."""

    def reference(self, x: Array) -> Array:
        return 1.0 / (1.0 + np.exp(-x))

    def slope(self, x: Value, y: Value) -> Value:
        return y * (1.0 - y)


class Erf(FloatUnary):
    """`2 / sqrt(pi)` times the integral of `exp(-t**2)` from 0 to `x`."""

    def reference(self, x: Array) -> Array:
        return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))

    def slope(self, x: Value, y: Value) -> Value:
        return 2.0 / math.sqrt(math.pi) * apply(Exp(), -(x * x))


def conjugate(x: Value) -> Value:
    """The conjugates of complex numbers; real numbers as they are."""
    conjugated: Value = build.conj(x) if x.dtype.is_complex else x
    return conjugated


class Floor(RealUnary):
    """The largest integer that is not above `x`."""

    def reference(self, x: Array) -> Array:
        return np.floor(x).astype(x.dtype)

    gradient = without_gradient


class Ceil(RealUnary):
    """The smallest integer that is not below `x`."""

    def reference(self, x: Array) -> Array:
        return np.ceil(x).astype(x.dtype)

    gradient = without_gradient


class Round(RealUnary):
    """The nearest integer; of two that are equally near, the even one."""

    def reference(self, x: Array) -> Array:
        return np.rint(x).astype(x.dtype)

    gradient = without_gradient
