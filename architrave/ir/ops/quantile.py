"""Quantiles, and counts of what is not 0."""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir.arrays import np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.elementwise import Ceil, Floor
from architrave.ir.ops.index import Take
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Cast, Isnan, NotEqual, Where
from architrave.ir.ops.order import Sort
from architrave.ir.ops.reduce import Sum, reduced
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, normalize_axis, promote


class _Ranked(Op, register=False):
    """A float from the order of the elements along `axis`, of all for None; NaN where one is NaN."""

    axis: int | None = None
    keep: bool = False

    def infer(self, x: TensorType) -> TensorType:
        axes = None if self.axis is None else (self.axis,)
        checks.numeric(f"`{self.name}`", x)
        checks.real(f"`{self.name}`", x)
        checks.not_empty(f"`{self.name}`", x, checks.axis_set(axes, x.rank))
        return reduced(x, axes, self.keep).with_dtype(checks.floating(x.dtype))


class Quantile(_Ranked):
    """Where `q` of the elements, from 0 to 1, are below: at place `q * (n - 1)` of the sorted ones.

    Between two places it interpolates linearly.
    """

    q: float = 0.5

    def infer(self, x: TensorType) -> TensorType:
        if not 0 <= self.q <= 1:
            raise error("E307", f"the q of `quantile` must be from 0 to 1, not {self.q}")
        return super().infer(x)

    def expand(self, x: Value) -> Value:
        shape = self.infer(x.type).shape
        axis = 0 if self.axis is None else normalize_axis(self.axis, x.rank)
        rows = apply(Reshape((x.type.size,)), x) if self.axis is None else x
        rows = apply(Sort(axis), rows * 1.0)
        last = rows.shape[axis] - 1
        place = self.q * apply(Full(last, (), promote(rows.dtype, DType.F32)))
        below = apply(Floor(), place)
        low, high, top = (
            apply(Take(axis), rows, apply(Cast(DType.I64), at)) for at in (below, apply(Ceil(), place), last)
        )
        share = apply(Cast(rows.dtype), place - below)
        # No `inf - inf` of two infinities, and no `0 * inf` where the place is an element.
        y = apply(Where(), share > 0.0, low * (1.0 - share) + high * share, low)
        return apply(Reshape(shape), apply(Where(), apply(Isnan(), top), top, y))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5], axis=1)
        yield sample([4, 3], axis=0, q=0.3, keep=True)
        yield sample([2, 3, 4], q=0.75)
        yield sample([2, 3], q=0.1, keep=True)
        yield sample([3], axis=0, q=0.0)
        yield sample([3, 1], axis=1, q=1.0)
        yield sample([], q=0.5)
        yield sample([0, 3], axis=1)
        yield sample(np.array([[2.0, 2.0, 1.0, 2.0], [np.inf, -np.inf, np.inf, 0.0]]), axis=1, q=1.0)
        yield sample(np.array([[2.0, np.nan, 1.0], [3.0, 1.0, 2.0]]), axis=1)
        yield sample(np.array([3, 1, 2, 9]), axis=0, q=0.6)
        yield sample([2, 0], axis=1, error="E310")
        yield sample([2, 3], axis=2, error="E302")
        yield sample([2, 3], q=1.5, error="E307")


class Median(_Ranked):
    """The element in the middle; of an even number the mean of the two there."""

    def expand(self, x: Value) -> Value:
        return apply(Quantile(self.axis, self.keep, q=0.5), x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5], axis=1)
        yield sample([4, 3], axis=0, keep=True)
        yield sample([2, 3])
        yield sample([])
        yield sample([0, 3], axis=-1)
        yield sample(np.array([[2.0, 2.0, 1.0, 2.0], [np.inf, -np.inf, np.inf, np.inf]]), axis=1)
        yield sample(np.array([5, 1, 2]))
        yield sample([0], error="E310")


class CountNonzero(Op):
    """How many elements over `axes` are not 0, NaN included; an i64."""

    axes: tuple[int, ...] | None = None
    keep: bool = False

    def infer(self, x: TensorType) -> TensorType:
        return reduced(x, self.axes, self.keep).with_dtype(DType.I64)

    def expand(self, x: Value) -> Value:
        nonzero = x if x.dtype.is_bool else apply(NotEqual(), x, 0)
        return apply(Sum(self.axes, self.keep), nonzero)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(typed(DType.I64, 3, 4), high=2)
        yield sample(typed(DType.I64, 3, 4), high=2, axes=(1,), keep=True)
        yield sample(typed(DType.BOOL, 3, 4), axes=(0,))
        yield sample(np.array([0.0, -0.0, np.nan, np.inf, 1e-300]))
        yield sample([0, 3], axes=(0,))
        yield sample([2], axes=(1,), error="E302")
