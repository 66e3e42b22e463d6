"""Activation functions. Their definitions fix the gradient at every kink, too (docs/numerics.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from architrave.ir.arrays import np
from architrave.ir.dims import Size, divide
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, elementwise, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.elementwise import Abs, Erf, Exp, Expm1, Log, Log1p, Sigmoid, Tanh
from architrave.ir.ops.join import Slice
from architrave.ir.ops.logic import StopGradient, Where
from architrave.ir.ops.reduce import Max, Sum
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, normalize_axis


class Activation(Op, register=False):
    """Elementwise; the result is a float, of integers too."""

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric(f"`{self.name}`", x)
        checks.real(f"`{self.name}`", x)
        return x.with_dtype(checks.floating(x.dtype))

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3])
        yield sample([])
        yield sample([0, 3])
        yield sample(np.array([-50.0, -3.0, -1.0, -0.25, 0.0, 0.25, 1.0, 3.0, 6.0, 50.0]))
        yield sample(np.array([-4, 0, 5]))
        yield sample(typed(DType.BOOL, 2), error="E303")


class Relu(Activation):
    """`max(x, 0)`; NaN of NaN. Keeps the dtype."""

    def infer(self, x: TensorType) -> TensorType:
        super().infer(x)
        return x

    def expand(self, x: Value) -> Value:
        return apply(Where(), x <= 0, 0, x)


class Gelu(Activation):
    """`x * Phi(x)`, with `Phi` the normal distribution; "tanh" approximates it.

    Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016).
    """

    approximate: Literal["none", "tanh"] = "none"

    def expand(self, x: Value) -> Value:
        if self.approximate == "tanh":
            return x * 0.5 * (1.0 + apply(Tanh(), math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))))
        return x * 0.5 * (1.0 + apply(Erf(), x / math.sqrt(2.0)))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([3, 5], approximate="tanh")


class Silu(Activation):
    """`x * sigmoid(x)`. Elfwing and others, "Sigmoid-Weighted Linear Units" (2017)."""

    def expand(self, x: Value) -> Value:
        return x * apply(Sigmoid(), x)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        gate = apply(Sigmoid(), operands[0])
        return (cotangents[0] * (gate + results[0] * (1.0 - gate)),)


class Softplus(Activation):
    """`log(1 + exp(x))`."""

    def expand(self, x: Value) -> Value:
        # In pieces that are smooth at 0, as the whole is, and whose exponential does not overflow.
        below = apply(Where(), x > 0, -x, x)
        return apply(Where(), x > 0, x, 0.0) + apply(Log1p(), apply(Exp(), below))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (cotangents[0] * apply(Sigmoid(), operands[0]),)


class Elu(Activation):
    """`x` above 0, `alpha * (exp(x) - 1)` below. Clevert and others, "Exponential Linear Units" (2015)."""

    alpha: float = 1.0

    def expand(self, x: Value) -> Value:
        # Where x is positive its exponential may be infinite, and would make the gradient NaN.
        below = apply(Where(), x > 0, 0.0, x)
        return apply(Where(), x > 0, x, self.alpha * apply(Expm1(), below))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([3, 5], alpha=0.5)
        yield sample(np.array([-1000.0, 1000.0]))


class Selu(Activation):
    """`elu` scaled so that activations keep mean 0 and variance 1.

    Klambauer and others, "Self-Normalizing Neural Networks" (2017).
    """

    def expand(self, x: Value) -> Value:
        return 1.0507009873554805 * apply(Elu(alpha=1.6732632423543772), x)


class LeakyRelu(Activation):
    """`x` above 0, `slope * x` below. Maas and others, "Rectifier Nonlinearities" (2013)."""

    slope: float = 0.01

    def expand(self, x: Value) -> Value:
        return apply(Where(), x > 0, x, self.slope * x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([3, 5], slope=0.2)


class HardSigmoid(Activation):
    """`x / 6 + 1/2` between 0 and 1. Howard and others, "Searching for MobileNetV3" (2019)."""

    def expand(self, x: Value) -> Value:
        return apply(Where(), x <= -3.0, 0.0, apply(Where(), x >= 3.0, 1.0, x / 6.0 + 0.5))


class HardSwish(Activation):
    """`x * hard_sigmoid(x)`. Howard and others, "Searching for MobileNetV3" (2019)."""

    def expand(self, x: Value) -> Value:
        return x * apply(HardSigmoid(), x)


class Mish(Activation):
    """`x * tanh(softplus(x))`. Misra, "Mish: A Self Regularized Non-Monotonic Activation Function" (2019)."""

    def expand(self, x: Value) -> Value:
        return x * apply(Tanh(), apply(Softplus(), x))


class LogSigmoid(Activation):
    """`log(sigmoid(x))`, without underflow."""

    def expand(self, x: Value) -> Value:
        return -apply(Softplus(), -x)


class Softsign(Activation):
    """`x / (1 + |x|)`."""

    def expand(self, x: Value) -> Value:
        return x / (1.0 + apply(Abs(), x))


class TanhShrink(Activation):
    """`x - tanh(x)`."""

    def expand(self, x: Value) -> Value:
        return x - apply(Tanh(), x)


class Glu(Op):
    """`a * sigmoid(b)` for the halves `a` and `b` of an axis.

    Dauphin and others, "Language Modeling with Gated Convolutional Networks" (2016).
    """

    axis: int = -1

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric("`glu`", x)
        checks.real("`glu`", x)
        axis = normalize_axis(self.axis, x.rank)
        half = divide(x.shape[axis], 2)
        if half is None:
            raise error("E305", f"`glu` cannot halve axis {axis} of {x}")
        return TensorType(checks.floating(x.dtype), (*x.shape[:axis], half, *x.shape[axis + 1 :]))

    def expand(self, x: Value) -> Value:
        axis = normalize_axis(self.axis, x.rank)
        half = self.infer(x.type).shape[axis]
        values, gates = (_part(x, axis, start, start + half) for start in (0, half))
        return values * apply(Sigmoid(), gates)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 6])
        yield sample([4, 3], axis=0)
        yield sample([2, 2, 3], axis=1)
        yield sample([0, 4])
        yield sample([2, 0])
        yield sample(np.array([3, -1]))
        yield sample([2, 3], error="E305")
        yield sample([], error="E302")
        yield sample(typed(DType.BOOL, 2), error="E303")


class Clip(Op):
    """`x` no lower than `lo` and no higher than `hi`; a bound that is None does not bound. NaN of NaN."""

    lo: float | int | None = None
    hi: float | int | None = None

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric("`clip`", x)
        checks.real("`clip`", x)
        if self.lo is not None and self.hi is not None and self.lo > self.hi:
            raise error("E307", f"`clip` has a lower bound of {self.lo} above its upper bound of {self.hi}")
        fractional = isinstance(self.lo, float) or isinstance(self.hi, float)
        return x.with_dtype(checks.floating(x.dtype)) if fractional else x

    def expand(self, x: Value) -> Value:
        result = x
        if self.hi is not None:
            result = apply(Where(), x > self.hi, self.hi, result)
        if self.lo is not None:
            result = apply(Where(), x < self.lo, self.lo, result)
        return result

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], lo=-0.5, hi=0.5)
        yield sample([2, 3], lo=0.0)
        yield sample([0, 3], hi=1)
        yield sample([3])
        yield sample(np.array([-3, 0, 9]), lo=0, hi=5)
        yield sample(np.array([np.nan, -1.0, 1.0, 2.0]), lo=-1.0, hi=1.0)
        yield sample([2], lo=1.0, hi=0.0, error="E307")
        yield sample(typed(DType.BOOL, 2), lo=0, error="E303")


class _AlongAxis(Op, register=False):
    """A function of the slices along one axis."""

    axis: int = -1

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric(f"`{self.name}`", x)
        checks.real(f"`{self.name}`", x)
        checks.not_empty(f"`{self.name}`", x, (normalize_axis(self.axis, x.rank),))
        return x.with_dtype(checks.floating(x.dtype))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3])
        yield sample([2, 3, 4], axis=1)
        yield sample([0, 3])
        yield sample([3, 1], axis=-2)
        yield sample(np.array([[1000.0, 1000.0, -1000.0], [0.0, -np.inf, 1.0]]))
        yield sample(np.array([1, 2, 3]))
        yield sample([], error="E302")
        yield sample([2, 3], axis=2, error="E302")
        yield sample([3, 0], error="E310")


class Softmax(_AlongAxis):
    """`exp(x) / sum(exp(x))` along an axis."""

    def expand(self, x: Value) -> Value:
        powers = apply(Exp(), _shifted(x, self.axis))
        return powers / apply(Sum(axes=(self.axis,), keep=True), powers)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (y,), (g,) = results, cotangents
        return (y * (g - apply(Sum(axes=(self.axis,), keep=True), g * y)),)


class LogSoftmax(_AlongAxis):
    """`x - log(sum(exp(x)))` along an axis."""

    def expand(self, x: Value) -> Value:
        shifted = _shifted(x, self.axis)
        return shifted - apply(Log(), apply(Sum(axes=(self.axis,), keep=True), apply(Exp(), shifted)))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (y,), (g,) = results, cotangents
        return (g - apply(Exp(), y) * apply(Sum(axes=(self.axis,), keep=True), g),)


def _part(x: Value, axis: int, start: Size, stop: Size) -> Value:
    """The elements from `start` to `stop` along one axis."""
    starts = tuple(start if i == axis else 0 for i in range(x.rank))
    stops = tuple(stop if i == axis else size for i, size in enumerate(x.shape))
    return apply(Slice(starts, stops, (1,) * x.rank), x)


def _shifted(x: Value, axis: int) -> Value:
    """`x` minus its maximum, which keeps the exponentials from overflowing and changes no result."""
    return x - apply(StopGradient(), apply(Max(axes=(axis,), keep=True), x))
