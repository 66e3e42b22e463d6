"""Sorting. Equal elements keep their order, and NaN is larger than every number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir import build
from architrave.ir.arrays import Array, known, np
from architrave.ir.dims import Size
from architrave.ir.graph import Value
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, normalize_axis

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations


class _Sorting(Op, register=False):
    """Along an axis, from small to large unless `descending`."""

    axis: int = -1
    descending: bool = False

    def infer(self, x: TensorType) -> TensorType:
        checks.real(f"`{self.name}`", x)
        normalize_axis(self.axis, x.rank)
        return x

    def relate(self, relations: Relations, x: Axes) -> Related:
        relations.fixed((x[self.axis],))
        return (x,) * len(relations.results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5])
        yield sample([3, 4], axis=0, descending=True)
        yield sample([2, 1])
        yield sample([0, 3])
        yield sample([2, 0])
        yield sample(typed(DType.I64, 2, 9), high=3)
        yield sample(typed(DType.I64, 2, 9), high=3, descending=True)
        yield sample(np.array([2.0, np.nan, -np.inf, 2.0, np.nan, 1.0]))
        yield sample(np.array([2.0, np.nan, -np.inf, 2.0, np.nan, 1.0]), descending=True)
        yield sample([], error="E302")
        yield sample([2], axis=1, error="E302")


class Sort(_Sorting):
    """The elements in order."""

    def reference(self, x: Array) -> Array:
        return np.take_along_axis(x, stable_order(x, self.axis, self.descending), self.axis)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), (g,) = operands, cotangents
        order = build.argsort(x, axis=self.axis, descending=self.descending)
        return (_returned(g, order, x, self.axis),)


class Argsort(_Sorting):
    """Where the elements in order stand in `x`; an i64."""

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(DType.I64)

    def reference(self, x: Array) -> Array:
        return stable_order(x, self.axis, self.descending)

    gradient = without_gradient


class Topk(Op):
    """The `k` largest (or smallest) elements along an axis, in order, and where they stand (i64).

    Of equal elements the first comes first.
    """

    k: Size
    axis: int = -1
    largest: bool = True

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        checks.real("`topk`", x)
        axis = normalize_axis(self.axis, x.rank)
        size = x.shape[axis]
        low = isinstance(self.k, int) and self.k < 0
        if low or (isinstance(self.k, int) and isinstance(size, int) and self.k > size):
            raise error("E307", f"`topk` cannot take {self.k} of the {size} elements along axis {axis} of {x}")
        values = x.with_shape((*x.shape[:axis], self.k, *x.shape[axis + 1 :]))
        return values, values.with_dtype(DType.I64)

    def reference(self, x: Array) -> tuple[Array, Array]:
        order = stable_order(x, self.axis, descending=self.largest)
        first = np.take(order, range(known(self.k)), self.axis)
        return np.take_along_axis(x, first, self.axis), first

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        return (_returned(cotangents[0], results[1], operands[0], self.axis),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        axis = normalize_axis(self.axis, len(x))
        rest = relations.new()[axis]
        relations.fixed((x[axis], rest))
        return ((*x[:axis], rest, *x[axis + 1 :]),) * 2

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5], k=3)
        yield sample([5, 2], k=2, axis=0, largest=False)
        yield sample([2, 3], k=0)
        yield sample([0, 3], k=3)
        yield sample(np.array([[3, 1, 3, 2, 3], [0, 0, 0, 0, 0]]), k=4)
        yield sample(np.array([[3, 1, 1, 2, 3], [0, 0, 0, 0, 0]]), k=4, largest=False)
        yield sample(np.array([1.0, np.nan, 3.0]), k=2)
        yield sample([2, 3], k=4, error="E307")
        yield sample([2, 3], k=1, axis=2, error="E302")


def stable_order(x: Array, axis: int, descending: bool) -> Array:
    """The places of the elements in order, equal ones as they stand."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    # Backwards before and after, so that equal elements keep their order.
    backwards = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.asarray(x.shape[axis] - 1 - np.flip(backwards, axis))


def _returned(g: Value, places: Value, x: Value, axis: int) -> Value:
    """What came to chosen elements, back at their places in `x`."""
    zeros = build.full(value=0.0, shape=x.shape, dtype=g.dtype)
    return zeros if x.rank == 0 else build.scatter_add(zeros, places, g, axis=axis)  # type: ignore[no-any-return]
