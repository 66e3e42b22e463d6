"""Whole and fractional parts, remainders of truncation, and values in the place of what is not finite."""

from __future__ import annotations

import math
from collections.abc import Iterator

from architrave.ir.arrays import np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.arithmetic import RealBinary
from architrave.ir.ops.elementwise import Abs, Ceil, Floor, RealUnary
from architrave.ir.ops.logic import Cast, Equal, Isnan, Where
from architrave.ir.types import DType, TensorType, broadcast, promote


class Trunc(RealUnary):
    """`x` without its fraction: rounded towards 0."""

    def expand(self, x: Value) -> Value:
        return apply(Where(), x < 0, apply(Ceil(), x), apply(Floor(), x))

    gradient = without_gradient

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([np.inf, -np.inf, np.nan, 1e300]))


class Frac(RealUnary):
    """`x - trunc(x)`, with the sign of `x`; its gradient is 1 everywhere."""

    def expand(self, x: Value) -> Value:
        return x - apply(Trunc(), x)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return cotangents


class Fmod(RealBinary):
    """What is left of `a` after whole `b`; it has the sign of `a`, as in C. The gradient by `b` is `-trunc(a / b)`."""

    def expand(self, a: Value, b: Value) -> Value:
        a, b = (apply(Cast(promote(a.dtype, b.dtype)), x) for x in (a, b))
        left = apply(Where(), a < 0, -a, a) % apply(Abs(), b)
        return apply(Where(), a < 0, -left, left)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([-7.5, 7.5, 5.0, 5.0]), np.array([2.0, -2.0, np.inf, 2.5]))


class Lerp(Op):
    """`a + t * (b - a)`: from `a` at 0 to `b` at 1. All three broadcast."""

    def infer(self, a: TensorType, b: TensorType, t: TensorType) -> TensorType:
        for ends in ((a, b), (t,)):
            checks.numeric("`lerp`", *ends)
            checks.real("`lerp`", *ends)
        return TensorType(promote(promote(a.dtype, b.dtype), t.dtype), broadcast(a.shape, b.shape, t.shape))

    def expand(self, a: Value, b: Value, t: Value) -> Value:
        return a + t * (b - a)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], [2, 3], [2, 3])
        yield sample([4, 1, 3], [2, 1], [])
        yield sample([0, 3], [3], [1])
        yield sample(np.array([0, 10]), np.array([4, 20]), np.array([0.25, 1.5]))
        yield sample([2], [3], [], error="E301")
        yield sample([2], [2], typed(DType.BOOL, 2), error="E303")


class NanToNum(Op):
    """`nan` for NaN, `posinf` and `neginf` for infinities; one that is None stays. What is replaced has no gradient."""

    nan: float = 0.0
    posinf: float | None = None
    neginf: float | None = None

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric("`nan_to_num`", x)
        checks.real("`nan_to_num`", x)
        return x.with_dtype(checks.floating(x.dtype))

    def expand(self, x: Value) -> Value:
        x = x * 1.0
        y = apply(Where(), apply(Isnan(), x), self.nan, x)
        if self.posinf is not None:
            y = apply(Where(), apply(Equal(), x, math.inf), self.posinf, y)
        return y if self.neginf is None else apply(Where(), apply(Equal(), x, -math.inf), self.neginf, y)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        special = np.array([1.0, np.nan, np.inf, -np.inf])
        yield sample(special)
        yield sample(special, nan=-1.0, posinf=9.0, neginf=-9.0)
        yield sample([2, 3])
        yield sample([0, 3], posinf=1.0)
        yield sample(np.array([1, 2]))
        yield sample(typed(DType.BOOL, 2), error="E303")
