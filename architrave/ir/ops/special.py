"""Special functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist

from architrave.ir.arrays import Array, np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops.elementwise import Exp, FloatUnary, Sin
from architrave.ir.ops.logic import Equal, Where
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType


class Sinc(FloatUnary):
    """`sin(pi * x) / (pi * x)`; 1 at 0."""

    def expand(self, x: Value) -> Value:
        zero = apply(Equal(), x, 0)
        angle = math.pi * apply(Where(), zero, 1.0, x)
        return apply(Where(), zero, 1.0, apply(Sin(), angle) / angle)

    gradient = Op.gradient  # that of the expansion


class Erfinv(FloatUnary):
    """The number whose error function is `x`; infinite at -1 and 1, NaN beyond."""

    def reference(self, x: Array) -> Array:
        return _each(_erfinv, x)

    def slope(self, x: Value, y: Value) -> Value:
        return math.sqrt(math.pi) / 2.0 * apply(Exp(), y * y)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([[-0.99, -0.5, -1e-9], [1e-300, 0.3, 0.999]]))
        yield sample(np.array(0.5))
        yield sample([0, 3])
        yield sample(np.array([-1.0, 0.0, 1.0, 1.5, -np.inf, np.nan]))
        yield sample(np.array([0, 0]))
        yield sample(typed(DType.BOOL, 2), error="E303")


class Lgamma(FloatUnary):
    """The logarithm of the absolute value of the gamma function; infinite at 0, -1, -2 and so on."""

    def reference(self, x: Array) -> Array:
        return _each(math.lgamma, x, outside=math.inf)

    def slope(self, x: Value, y: Value) -> Value:
        return apply(Polygamma(), x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        return _of_gamma()


class Polygamma(FloatUnary):
    """The derivative of order `n + 1` of `log(gamma(x))`; for `n` of 1 and above `x` must be above 0."""

    not_in_bf16 = "PyTorch computes it in 32 and 64 bits alone"

    n: int = 0

    def infer(self, x: TensorType) -> TensorType:
        if self.n < 0:
            raise error("E307", f"the order of `polygamma` must be at least 0, not {self.n}")
        return super().infer(x)

    def reference(self, x: Array) -> Array:
        return _each(_digamma if self.n == 0 else lambda t: _polygamma(self.n, t), x)

    def slope(self, x: Value, y: Value) -> Value:
        if self.n > 0:
            return apply(Polygamma(self.n + 1), x)
        # Below 0 by the reflection: digamma(1 - x) - digamma(x) is pi / tan(pi * x).
        below = x <= 0
        sine = apply(Sin(), math.pi * apply(Where(), below, x, 0.5))
        inner = apply(Polygamma(1), apply(Where(), below, 1.0 - x, x * 1.0))
        return apply(Where(), below, math.pi**2 / (sine * sine) - inner, inner)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from _of_gamma()
        for n in (1, 2, 3):
            yield sample(np.array([0.25, 1.0, 3.3, 20.0]), n=n)
        yield sample([0, 3], n=1)
        yield sample(np.array([1.0]), n=-1, error="E307")


class Digamma(FloatUnary):
    """The derivative of `log(gamma(x))`."""

    not_in_bf16 = "PyTorch computes it in 32 and 64 bits alone"

    def expand(self, x: Value) -> Value:
        return apply(Polygamma(), x)

    gradient = Op.gradient  # that of the expansion

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        return _of_gamma()


def _of_gamma() -> Iterator[Sample]:
    yield sample(np.array([[0.1, 0.5, 1.0], [2.0, 3.7, 30.0]]))
    yield sample(np.array(1.5))
    yield sample([0, 3])
    yield sample(np.array([-0.5, -1.25, -3.75]))
    yield sample(np.array([1e6]))
    yield sample(np.array([1e-3]))
    yield sample(np.array([1, 4, 9]))
    yield sample(typed(DType.BOOL, 2), error="E303")


def _each(function: Callable[[float], float], x: Array, outside: float = math.nan) -> Array:
    """A function of Python's numbers for each element; `outside` where it is not defined."""

    def one(t: float) -> float:
        try:
            return function(float(t))
        except ValueError:
            return outside

    return np.asarray(np.vectorize(one, otypes=[np.float64])(x))


def _erfinv(x: float) -> float:
    if not abs(x) < 1:
        return math.copysign(math.inf, x) if abs(x) == 1 else math.nan
    if x < 0:
        return -_erfinv(-x)
    y = NormalDist().inv_cdf((1 + x) / 2) / math.sqrt(2) if x < 1 - 1e-16 else 5.8
    for _ in range(8):
        # Newton's method; beyond 1/2 on the complement, which keeps its digits.
        excess = math.erf(y) - x if x < 0.5 else (1 - x) - math.erfc(y)
        y -= excess * math.sqrt(math.pi) / 2 * math.exp(y * y)
    return y


def _digamma(x: float) -> float:
    if x <= 0:
        if x == math.floor(x):
            raise ValueError("a pole")
        return _digamma(1 - x) - math.pi / math.tan(math.pi * (x - round(x)))
    shift = 0.0
    while x < 20:
        shift += 1 / x
        x += 1
    tail = sum(b / (2 * k * x ** (2 * k)) for k, b in enumerate(_BERNOULLI, 1))
    return math.log(x) - 0.5 / x - tail - shift


def _polygamma(n: int, x: float) -> float:
    """`(-1) ** (n + 1) * n! * sum((x + k) ** -(n + 1))`: the first terms, and the rest by Euler and Maclaurin."""
    if not x > 0:
        return math.nan
    total = 0.0
    while x < 20:
        total += x ** -(n + 1)
        x += 1
    total += x**-n / n + 0.5 * x ** -(n + 1)
    for k, b in enumerate(_BERNOULLI, 1):
        total += b * math.prod(range(n + 1, n + 2 * k)) / math.factorial(2 * k) * x ** -(n + 2 * k)
    return math.copysign(math.factorial(n) * total, n % 2 - 0.5)


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
"""The Bernoulli numbers B2, B4, B6..."""
