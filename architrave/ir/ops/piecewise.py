"""Activations in pieces. At the places where two meet, the gradient is that of the flat one (docs/numerics.md)."""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir.arrays import np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.activation import Activation
from architrave.ir.ops.elementwise import Abs, Expm1
from architrave.ir.ops.logic import Where
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, promote


class HardTanh(Activation):
    """`x` between `lo` and `hi`, else these. At both the gradient is 0: `clip` is the one with 1."""

    lo: float = -1.0
    hi: float = 1.0

    def infer(self, x: TensorType) -> TensorType:
        if self.lo > self.hi:
            raise error("E307", f"`hard_tanh` has a lower bound of {self.lo} above its upper bound of {self.hi}")
        return super().infer(x)

    def expand(self, x: Value) -> Value:
        return apply(Where(), x <= self.lo, self.lo, apply(Where(), x >= self.hi, self.hi, x * 1.0))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([3, 5], lo=-0.5, hi=0.25)
        yield sample(np.array([np.nan, np.inf, -np.inf]))
        yield sample([2], lo=1.0, hi=0.0, error="E307")


class Relu6(Activation):
    """`x` between 0 and 6, else these. Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10" (2010)."""

    def expand(self, x: Value) -> Value:
        return apply(HardTanh(lo=0.0, hi=6.0), x)


class Threshold(Activation):
    """`x` above `threshold`, else `value`."""

    threshold: float
    value: float

    def expand(self, x: Value) -> Value:
        return apply(Where(), x <= self.threshold, self.value, x * 1.0)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3], threshold=0.1, value=-1.0)
        yield sample([], threshold=0.0, value=0.0)
        yield sample([0, 3], threshold=0.0, value=0.0)
        yield sample(np.array([-1.0, 0.5, 2.0, np.nan, np.inf]), threshold=0.5, value=20.0)
        yield sample(np.array([-1, 5]), threshold=0.0, value=0.5)
        yield sample(typed(DType.BOOL, 2), threshold=0.0, value=0.0, error="E303")


class _Shrink(Activation, register=False):
    """0 from `-bound` to `bound`."""

    bound: float = 0.5

    def infer(self, x: TensorType) -> TensorType:
        if not self.bound >= 0:
            raise error("E307", f"the bound of `{self.name}` must be at least 0, not {self.bound}")
        return super().infer(x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([-0.5, -0.25, 0.5, 0.75, np.nan, np.inf]))
        yield sample([3, 5], bound=0.2)
        yield sample([2], bound=-1.0, error="E307")


class HardShrink(_Shrink):
    """`x` outside."""

    def expand(self, x: Value) -> Value:
        return apply(Where(), apply(Abs(), x) <= self.bound, 0.0, x * 1.0)


class SoftShrink(_Shrink):
    """What of `x` is outside."""

    def expand(self, x: Value) -> Value:
        outside = apply(Where(), x > 0, x - self.bound, x + self.bound)
        return apply(Where(), apply(Abs(), x) <= self.bound, 0.0, outside)


class Celu(Activation):
    """`x` above 0, `alpha * (exp(x / alpha) - 1)` below: smooth for every `alpha`.

    Barron, "Continuously Differentiable Exponential Linear Units" (2017).
    """

    alpha: float = 1.0

    def expand(self, x: Value) -> Value:
        # Where x is positive its exponential may be infinite, and would make the gradient NaN.
        below = apply(Where(), x > 0, 0.0, x)
        return apply(Where(), x > 0, x * 1.0, self.alpha * apply(Expm1(), below / self.alpha))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([3, 5], alpha=0.5)
        yield sample(np.array([-1000.0, 1000.0]))


class Prelu(Op):
    """`x` above 0, `weight * x` below. The weight is [1], or [C] for axis 1 of `x`.

    He and others, "Delving Deep into Rectifiers" (2015).
    """

    def infer(self, x: TensorType, weight: TensorType) -> TensorType:
        checks.numeric("`prelu`", x)
        checks.real("`prelu`", x, weight)
        checks.ranked("the weight of `prelu`", weight, 1, "[C]")
        if weight.shape[0] != 1:
            checks.at_least("`prelu` with a weight for each channel", x, 2)
            checks.same("the channels of `prelu`", x.shape[1], f"axis 1 of {x}", weight.shape[0], "the weight")
        return x.with_dtype(promote(checks.floating(x.dtype), weight.dtype))

    def expand(self, x: Value, weight: Value) -> Value:
        count = weight.shape[0]
        shape = (1,) * x.rank if count == 1 else (count, *(1,) * (x.rank - 2))
        return apply(Where(), x > 0, x, apply(Reshape(shape), weight) * x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 4, 5], [3])
        yield sample([2, 3], [3])
        yield sample([4], [1])
        yield sample([], [1])
        yield sample([0, 3, 2], [3])
        yield sample(np.array([[-2.0, 0.0, 2.0]]), np.array([0.5, 0.5, 0.5]))
        yield sample([2, 3], [2], error="E305")
        yield sample([2, 3], [1, 3], error="E304")
        yield sample([3], [3], error="E304")
        yield sample(typed(DType.BOOL, 2, 2), [2], error="E303")
