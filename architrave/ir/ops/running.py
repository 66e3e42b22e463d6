"""Running extrema along an axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.types import DType, TensorType, normalize_axis

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations

_ENDS = {DType.U8: 255, DType.U32: 0xFFFFFFFF}
"""The sum of the smallest and the largest integer of a type; of signed ones it is -1."""


class _RunningExtremum(Op, register=False):
    """Of the elements up to each along an axis; NaN from the first NaN on. Keeps the dtype."""

    axis: int

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric(f"`{self.name}`", x)
        checks.real(f"`{self.name}`", x)
        normalize_axis(self.axis, x.rank)
        return x

    def relate(self, relations: Relations, x: Axes) -> Related:
        relations.fixed((x[self.axis],))
        return (x,) * len(relations.results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 4], axis=1)
        yield sample([7], axis=-1)
        yield sample([2, 0], axis=1)
        yield sample([1, 3], axis=0)
        yield sample(np.array([1.0, 1.0, 0.0, 2.0, 2.0, 2.0, -1.0]), axis=0)
        yield sample(np.array([-np.inf, -np.inf, 0.0, np.inf, 1.0, np.inf]), axis=0)
        yield sample(np.array([[1.0, np.nan, 3.0], [np.nan, 0.0, np.nan]]), axis=1)
        yield sample(typed(DType.I32, 3, 4), axis=0)
        yield sample(typed(DType.U8, 5), axis=0)
        yield sample([], axis=0, error="E302")
        yield sample(typed(DType.BOOL, 2), axis=0, error="E303")


class Cummax(_RunningExtremum):
    """The largest element so far. Of equals the first gets the gradient."""

    def reference(self, x: Array) -> Array:
        return np.maximum.accumulate(x, axis=self.axis)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), (y,), (g,) = operands, results, cotangents
        axis = normalize_axis(self.axis, x.rank)
        along = build.reshape(build.arange(size=x.shape[axis]), (x.shape[axis], *(1,) * (x.rank - 1 - axis)))
        # The first element is no record against the last, which it is rolled against, but stands at place 0 anyway.
        record = build.greater(x, build.roll(y, [1], [axis]))
        place = apply(self, build.where(record, along, 0))
        zeros = build.full(value=0.0, shape=x.shape, dtype=g.dtype)
        return (build.scatter_add(zeros, place, g, axis=axis),)


class Cummin(_RunningExtremum):
    """The smallest element so far. Of equals the first gets the gradient."""

    def expand(self, x: Value) -> Value:
        if x.dtype.is_float:
            return -apply(Cummax(self.axis), -x)
        # An integer's negative may not exist, but what lies as far from the other end does.
        ends = _ENDS.get(x.dtype, -1)
        return ends - apply(Cummax(self.axis), ends - x)
