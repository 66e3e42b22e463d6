"""Arithmetic on numbers: operators of two operands, which broadcast and promote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from architrave.ir.arrays import Array, np
from architrave.ir.dims import Dim
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, elementwise, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.elementwise import Log, conjugate
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Equal, LogicalAnd, Where
from architrave.ir.types import DType, TensorType, broadcast, promote

Number: TypeAlias = "float | int | Dim"


class _Binary(Op, register=False):
    """Shapes broadcast, dtypes promote; two truth values are not numbers."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        checks.numeric(f"`{self.name}`", a, b)
        return TensorType(promote(a.dtype, b.dtype), broadcast(a.shape, b.shape))

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [2, 3])
        yield sample([4, 1, 3], [2, 1])
        yield sample([], [2])
        yield sample([0, 3], [1, 3])
        yield sample(np.array([-7, 7, -7, 6]), np.array([2, -2, -3, 3]))
        yield sample([3], np.array([[True], [True]]))
        yield sample([2, 3], [2, 4], error="E301")
        yield sample(typed(DType.BOOL, 2), typed(DType.BOOL, 2), error="E303")


class _ComplexBinary(_Binary, register=False):
    """One that complex numbers have, too."""

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([1 + 2j, -0.5 + 0.25j]), np.array([[3 - 1j], [0.5 + 2j]]))
        yield sample(np.array([1 + 2j, -0.5 + 0.25j]), [2])
        yield sample(typed(DType.C64, 2), typed(DType.C64, 2))


class RealBinary(_Binary, register=False):
    """One that complex numbers have none of."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        checks.real(f"`{self.name}`", a, b)
        return super().infer(a, b)


class Add(_ComplexBinary):
    """`a + b`."""

    vanishes = "sum"

    def reference(self, a: Array, b: Array) -> Array:
        return a + b

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return cotangents * 2


class Subtract(_ComplexBinary):
    """`a - b`."""

    vanishes = "sum"

    def reference(self, a: Array, b: Array) -> Array:
        return a - b

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return cotangents[0], -cotangents[0]


class Multiply(_ComplexBinary):
    """`a * b`."""

    vanishes = "product"

    def reference(self, a: Array, b: Array) -> Array:
        return a * b

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (a, b), (g,) = operands, cotangents
        return g * conjugate(b), g * conjugate(a)


class Divide(_ComplexBinary):
    """`a / b`; of integers a float."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        result = super().infer(a, b)
        return result.with_dtype(checks.floating(result.dtype))

    def reference(self, a: Array, b: Array) -> Array:
        return np.true_divide(a, b)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (_, b), (g,) = operands, cotangents
        by_a = g / conjugate(b)
        return by_a, -by_a * conjugate(results[0])


class _Quotient(RealBinary, register=False):
    """One that divides."""

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        for dtype in (np.int8, np.int32):
            least = np.iinfo(dtype).min
            yield sample(np.array([[5], [-5], [0], [least]], dtype), np.array([0, -1, 3, least], dtype))
        yield sample(np.array([5, 0, 255], np.uint8), np.array([[0], [2]], np.uint8))
        yield sample(np.array([5, 2**32 - 1], np.uint32), np.array([[0], [2]], np.uint32))


class FloorDivide(_Quotient):
    """`floor(a / b)`, rounded towards minus infinity as in Python; of integers 0 where `b` is 0."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.floor_divide(a, b)

    gradient = without_gradient


class Remainder(_Quotient):
    """`a - b * floor(a / b)`; has the sign of `b`, as in Python. Of integers 0 where `b` is 0."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.remainder(a, b)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (a, b), (g,) = operands, cotangents
        return g, -g * (a // b)


class Power(RealBinary):
    """`a ** b`. A negative power of an integer is its inverse without the fraction: 0, but of 1 and -1 one of them."""

    def reference(self, a: Array, b: Array) -> Array:
        if np.result_type(a, b).kind == "f":
            return np.power(a, b)
        whole = np.power(a, np.where(b < 0, b % 2, b))
        return np.where((b < 0) & (np.abs(a) != 1), 0, whole).astype(whole.dtype)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (a, b), (g,) = operands, cotangents
        if isinstance(b.op, Full):
            return g * _power_slope(a, b.op.value), None
        # Not 0 * inf where a power of 0 does not change with the base, or 0 to a power with the exponent.
        by_base = apply(Where(), apply(Equal(), b, 0), 0.0, b * a ** (b - 1))
        still = apply(LogicalAnd(), apply(Equal(), a, 0), b >= 0)
        by_exponent = apply(Where(), still, 0.0, results[0] * apply(Log(), apply(Where(), still, 1.0, a)))
        return g * by_base, g * by_exponent

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([[0.5, 2.0, 3.0]]), [2, 3])
        yield sample(np.array([-2.0, -1.5, 0.0, 3.0]), np.array([2.0, 3.0, 0.0, -1.0]))
        yield sample(np.array([-2, 0, 3]), np.array([3, 0, 4]))
        yield sample(np.array([2, 1, -1, -1, 0, -3]), np.array([[-1], [-2], [-3], [0]]))
        yield sample(np.array([2, 3], np.uint8), np.array([9, 6], np.uint8))
        yield sample(np.ones((0, 3)), [1, 3])
        yield sample([2, 3], [2, 4], error="E301")
        yield sample(typed(DType.BOOL, 2), typed(DType.BOOL, 2), error="E303")


class Maximum(RealBinary):
    """The larger of `a` and `b`; NaN where one is NaN."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.maximum(a, b)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return _to_the_winner(operands, results[0], cotangents[0])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([np.nan, 1.0, -np.inf, 2.0]), np.array([0.0, np.nan, 3.0, 2.0]))


class Minimum(RealBinary):
    """The smaller of `a` and `b`; NaN where one is NaN."""

    def reference(self, a: Array, b: Array) -> Array:
        return np.minimum(a, b)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return _to_the_winner(operands, results[0], cotangents[0])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([np.nan, 1.0, -np.inf, 2.0]), np.array([0.0, np.nan, 3.0, 2.0]))


def _power_slope(a: Value, exponent: Number) -> Value:
    """The derivative of a power that is known."""
    if exponent == 0:
        return apply(Full(0.0, (), a.dtype))
    if exponent == 2:
        return a * 2
    return a ** (exponent - 1) * exponent


def _to_the_winner(operands: Values, y: Value, g: Value) -> Gradients:
    """All to the one that is the result, half to each of equals."""
    share = apply(Where(), apply(Equal(), *operands), g * 0.5, g)
    return tuple(apply(Where(), apply(Equal(), x, y), share, 0.0) for x in operands)
