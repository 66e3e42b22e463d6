"""Statistics along axes, as compositions of reductions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir.arrays import np
from architrave.ir.dims import Size, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.elementwise import Abs, Exp, Log, Sqrt
from architrave.ir.ops.logic import Isfinite, StopGradient, Where
from architrave.ir.ops.reduce import Max, Sum, kept_axes, reduced, restored
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations


class _Statistic(Op, register=False):
    """A float over `axes`, all of them for None; with `keep` these stay as axes of size 1."""

    axes: tuple[int, ...] | None = None
    keep: bool = False

    def infer(self, x: TensorType) -> TensorType:
        checks.real(f"`{self.name}`", x)
        return reduced(x, self.axes, self.keep).with_dtype(checks.floating(x.dtype))

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (kept_axes(relations, x, self.axes, self.keep, f"takes a {self.name} over it"),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3])
        yield sample([2, 3, 4], axes=(0, -1))
        yield sample([2, 3, 4], axes=(1,), keep=True)
        yield sample([0, 3], axes=(1,))
        yield sample(typed(DType.I64, 2, 3), axes=(0,))
        yield sample([2, 3], axes=(2,), error="E302")
        yield sample([2, 3], axes=(1, -1), error="E309")


class Mean(_Statistic):
    """The sum over the number of elements; NaN of nothing."""

    def expand(self, x: Value) -> Value:
        return apply(Sum(self.axes, self.keep), x) / counted(x, self.axes)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([])
        yield sample([3, 0], axes=(1,))
        yield sample(typed(DType.BOOL, 5))


class _Spread(_Statistic, register=False):
    """`correction` is taken from the number of elements: 0 for a population, 1 for a sample of one."""

    correction: int = 0

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([4, 3], axes=(0,), correction=1)
        yield sample([1, 3], axes=(0,))
        yield sample(np.array([[2.0, 2.0, 2.0], [1e8, 1e8 + 1.0, 1e8 + 2.0]]), axes=(1,))


class Var(_Spread):
    """`sum((x - mean(x))**2) / (n - correction)`; NaN where `n` is not above `correction`."""

    def expand(self, x: Value) -> Value:
        d = x - apply(Mean(self.axes, keep=True), x)
        count = counted(x, self.axes) - self.correction
        return apply(Sum(self.axes, self.keep), d * d) / (max(count, 0) if isinstance(count, int) else count)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), g = operands, restored(cotangents[0], operands[0], self.axes)
        count = counted(x, self.axes) - self.correction
        scaled = 2 * g / (max(count, 0) if isinstance(count, int) else count)
        return (scaled * (x - apply(Mean(self.axes, keep=True), x)),)


class Std(_Spread):
    """`sqrt(var(x))`; of elements that are all equal the gradient is 0."""

    def expand(self, x: Value) -> Value:
        return flat_at_zero(Sqrt(), apply(Var(self.axes, self.keep, self.correction), x))


class Moments(Op):
    """The mean and the variance (with `correction` 0) over `axes`, as normalization layers need them."""

    axes: tuple[int, ...] | None = None
    keep: bool = False

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        mean = Mean(self.axes, self.keep).infer(x)
        return mean, mean

    def expand(self, x: Value) -> tuple[Value, Value]:
        return apply(Mean(self.axes, self.keep), x), apply(Var(self.axes, self.keep), x)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), count = operands, counted(operands[0], self.axes)
        by_mean, by_var = (restored(g, x, self.axes) / count for g in cotangents)
        return (by_mean + 2 * by_var * (x - restored(results[0], x, self.axes)),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        kept = kept_axes(relations, x, self.axes, self.keep, "takes statistics over it")
        return kept, kept

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        return _Statistic.samples()


class Logsumexp(_Statistic):
    """`log(sum(exp(x)))`, without overflow."""

    def infer(self, x: TensorType) -> TensorType:
        checks.not_empty("`logsumexp`", x, checks.axis_set(self.axes, x.rank))
        return super().infer(x)

    def expand(self, x: Value) -> Value:
        top = apply(StopGradient(), apply(Max(self.axes, keep=True), x)) * 1.0
        # Where all elements are minus infinity there is nothing to take away.
        top = apply(Where(), apply(Isfinite(), top), top, 0.0)
        total = apply(Log(), apply(Sum(self.axes, self.keep), apply(Exp(), x - top)))
        return total + (top if self.keep else apply(Reshape(total.shape), top))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), (y, g) = operands, (restored(v, operands[0], self.axes) for v in (results[0], cotangents[0]))
        return (g * apply(Exp(), x - y),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([[1000.0, 1000.0], [-np.inf, 0.0], [-np.inf, -np.inf]]), axes=(1,))
        yield sample([3, 0], axes=(1,), error="E310")


class Norm(_Statistic):
    """`sum(|x|**order) ** (1/order)`; the largest `|x|` for an infinite order. At 0 the gradient is 0."""

    order: float = 2.0

    def infer(self, x: TensorType) -> TensorType:
        if not self.order > 0:
            raise error("E307", f"the order of a norm must be above 0, not {self.order}")
        if math.isinf(self.order):
            checks.not_empty("`norm`", x, checks.axis_set(self.axes, x.rank))
        return super().infer(x)

    def expand(self, x: Value) -> Value:
        x = x * 1.0
        if math.isinf(self.order):
            return apply(Max(self.axes, self.keep), apply(Abs(), x))
        total = Sum(self.axes, self.keep)
        if self.order == 1.0:
            return apply(total, apply(Abs(), x))
        if self.order == 2.0:
            return flat_at_zero(Sqrt(), apply(total, x * x))
        return flat_at_zero(1.0 / self.order, apply(total, apply(Abs(), x) ** self.order))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample([2, 3], axes=(1,), order=1.0)
        yield sample([2, 3], axes=(1,), order=math.inf)
        yield sample([2, 3], axes=(1,), order=3.0, keep=True)
        yield sample(np.array([[0.0, 0.0], [3.0, -4.0]]), axes=(1,))
        yield sample([2, 3], order=0.0, error="E307")
        yield sample([2, 3], order=math.nan, error="E307")
        yield sample([2, 0], axes=(1,), order=math.inf, error="E310")


def counted(x: Value, axes: tuple[int, ...] | None) -> Size:
    """How many elements of `x` a reduction over `axes` combines."""
    return product(x.shape[axis] for axis in checks.axis_set(axes, x.rank))


def flat_at_zero(root: Sqrt | float, x: Value) -> Value:
    """A root of `x` whose gradient is 0 where `x` is 0, though the slope of the root is infinite there."""
    zero = x <= 0.0
    safe = apply(Where(), zero, 1.0, x)
    return apply(Where(), zero, 0.0, apply(root, safe) if isinstance(root, Sqrt) else safe**root)
