"""Powers, roots and logarithms, as compositions."""

from __future__ import annotations

import math
from collections.abc import Iterator

from architrave.ir.arrays import np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.arithmetic import Maximum, Minimum, Power, RealBinary
from architrave.ir.ops.elementwise import Abs, Exp, FloatUnary, Log, Log1p, PositiveUnary, RealUnary, Sqrt
from architrave.ir.ops.logic import Equal, Isfinite, LogicalAnd, Where
from architrave.ir.types import DType, TensorType, broadcast, promote


class Exp2(FloatUnary):
    """`2 ** x`."""

    def expand(self, x: Value) -> Value:
        return apply(Power(), 2.0, x * 1.0)

    def slope(self, x: Value, y: Value) -> Value:
        return y * math.log(2.0)


class Log2(PositiveUnary):
    """The logarithm to base 2."""

    def expand(self, x: Value) -> Value:
        return apply(Log(), x) / math.log(2.0)

    def slope(self, x: Value, y: Value) -> Value:
        return 1.0 / (x * math.log(2.0))


class Log10(PositiveUnary):
    """The logarithm to base 10."""

    def expand(self, x: Value) -> Value:
        return apply(Log(), x) / math.log(10.0)

    def slope(self, x: Value, y: Value) -> Value:
        return 1.0 / (x * math.log(10.0))


class Reciprocal(FloatUnary):
    """`1 / x`."""

    def expand(self, x: Value) -> Value:
        return 1.0 / x

    def slope(self, x: Value, y: Value) -> Value:
        return -(y * y)


class Square(RealUnary):
    """`x * x`. Keeps integers."""

    def expand(self, x: Value) -> Value:
        return x * x

    def slope(self, x: Value, y: Value) -> Value:
        return 2 * x


class Cbrt(FloatUnary):
    """The cube root, negative of negative numbers. At 0 the gradient is infinite."""

    def expand(self, x: Value) -> Value:
        root = apply(Where(), x < 0, -x, x) ** (1.0 / 3.0)
        return apply(Where(), x < 0, -root, root)

    def slope(self, x: Value, y: Value) -> Value:
        return 1.0 / (3.0 * y * y)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([-27.0, 8.0, np.inf, -np.inf]))


class Hypot(RealBinary):
    """`sqrt(a**2 + b**2)`, a float, without overflow. At the origin the gradient is 0."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        result = super().infer(a, b)
        return result.with_dtype(checks.floating(result.dtype))

    def expand(self, a: Value, b: Value) -> Value:
        sizes = apply(Abs(), a * 1.0), apply(Abs(), b * 1.0)
        long, short = apply(Maximum(), *sizes), apply(Minimum(), *sizes)
        usual = apply(LogicalAnd(), long > 0.0, apply(Isfinite(), long))
        ratio = apply(Where(), usual, short, 0.0) / apply(Where(), usual, long, 1.0)
        return long * apply(Sqrt(), 1.0 + ratio * ratio)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([3.0, 0.0, 5.0, 1.0]), np.array([-4.0, 0.0, 0.0, 1.0]))
        yield sample(np.array([-1e150]), np.array([1e150]))
        yield sample(np.array([1e-150]), np.array([1e-150]))
        yield sample(np.array([np.inf, 1.0]), np.array([1.0, -np.inf]))


class Logaddexp(Op):
    """`log(exp(a) + exp(b))`, without overflow; shapes broadcast."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        checks.numeric("`logaddexp`", a, b)
        checks.real("`logaddexp`", a, b)
        return TensorType(checks.floating(promote(a.dtype, b.dtype)), broadcast(a.shape, b.shape))

    def expand(self, a: Value, b: Value) -> Value:
        top = apply(Maximum(), a * 1.0, b * 1.0)
        # Of two equal infinities the difference would be NaN.
        still = apply(Equal(), a, b)
        below = -apply(Abs(), apply(Where(), still, 0.0, a - b))
        return top + apply(Log1p(), apply(Exp(), below))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [2, 3])
        yield sample([4, 1, 3], [2, 1])
        yield sample([0, 3], [])
        yield sample(np.array([1000.0, -1000.0, -np.inf, -np.inf, 0.0]), np.array([1000.0, 0.0, -np.inf, 1.0, 0.0]))
        yield sample(np.array([1, 2]), np.array([3.0, -1.0]))
        yield sample([2, 3], [2, 4], error="E301")
        yield sample(typed(DType.BOOL, 2), typed(DType.BOOL, 2), error="E303")
