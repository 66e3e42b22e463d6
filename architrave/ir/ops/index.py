"""Indexing. An index counts from 0, never from the end.

Reading clamps an index that is out of range to the nearest place; writing leaves out what it would write.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir import build
from architrave.ir.arrays import Array, known, np
from architrave.ir.axes.axis import Axes, Axis
from architrave.ir.dims import Size, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.arithmetic import Maximum
from architrave.ir.ops.leaves import Arange, Full
from architrave.ir.ops.logic import Cast, Equal
from architrave.ir.ops.shape import Reshape, Unsqueeze
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, normalize_axis, promote

if TYPE_CHECKING:
    from architrave.ir.axes.relations import Relations


class Gather(Op):
    """`y[i, j, k] = x[i, index[i, j, k], k]` for axis 1: as PyTorch's gather.

    The index has the rank of `x` and is at most as long along every other axis.
    """

    axis: int

    def infer(self, x: TensorType, index: TensorType) -> TensorType:
        axis = check_index("gather", x, index, self.axis)
        if x.shape[axis] == 0 and index.size != 0:
            raise error("E310", f"`gather` has nothing to choose from: axis {axis} of {x} is empty")
        return x.with_shape(index.shape)

    def reference(self, x: Array, index: Array) -> Array:
        axis = self.axis % x.ndim
        x = x[_leading(index, axis)]
        return np.take_along_axis(x, _clamped(index, x.shape[axis]), axis)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x, index), (g,) = operands, cotangents
        axis = normalize_axis(self.axis, x.rank)
        inside = _brought_inside(index, x.shape[axis])
        return build.scatter_add(_zeros(x.shape, g), inside, g, axis=axis), None

    def relate(self, relations: Relations, x: Axes, index: Axes) -> Related:
        return (along_index(relations, x, index, self.axis),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 4], typed(DType.I64, 2, 3), axis=1)
        yield sample([4, 3], typed(DType.I32, 5, 3), axis=0)
        yield sample([2, 4, 3], typed(DType.I64, 1, 6, 2), axis=-2)
        yield sample(np.array([1.0, 2.0, 3.0]), np.array([-5, 0, 2, 3, 99]), axis=0)
        yield sample([2, 4], typed(DType.I64, 2, 0), axis=1)
        yield sample([2, 4], typed(DType.I64, 3, 3), axis=1, error="E305")
        yield sample([2, 4], typed(DType.I64, 3), axis=1, error="E304")
        yield sample([2, 4], [2, 4], axis=1, error="E303")
        yield sample([2, 4], typed(DType.I64, 2, 4), axis=2, error="E302")
        yield sample([2, 0], typed(DType.I64, 2, 1), axis=1, error="E310")


class Take(Op):
    """The slices of `x` along `axis` that `index` names; the axes of the index take the place of that axis.

    As NumPy's take; with axis 0 it looks up rows of a table, as an embedding does.
    """

    axis: int

    def infer(self, x: TensorType, index: TensorType) -> TensorType:
        checks.integer("the index of `take`", index)
        axis = normalize_axis(self.axis, x.rank)
        if x.shape[axis] == 0 and index.size != 0:
            raise error("E310", f"`take` has nothing to choose from: axis {axis} of {x} is empty")
        return x.with_shape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))

    def reference(self, x: Array, index: Array) -> Array:
        return np.take(x, _clamped(index, x.shape[self.axis]), self.axis)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x, index), (g,) = operands, cotangents
        axis = normalize_axis(self.axis, x.rank)
        # The axes of the index come first, as one, for the rows that they name.
        named = range(axis, axis + index.rank)
        order = (*named, *(i for i in range(g.rank) if i not in named))
        rest = (*x.shape[:axis], *x.shape[axis + 1 :])
        count = product(index.shape)
        rows = build.reshape(g if order == tuple(range(g.rank)) else build.transpose(g, order), (count, *rest))
        inside = _brought_inside(build.reshape(index, (count,)), x.shape[axis])
        table = build.segment_sum(rows, inside, count=x.shape[axis])
        back = (*range(1, axis + 1), 0, *range(axis + 1, x.rank))
        return table if axis == 0 else build.transpose(table, back), None

    def relate(self, relations: Relations, x: Axes, index: Axes) -> Related:
        axis = normalize_axis(self.axis, len(x))
        relations.fixed((x[axis],), "counts along it")
        return ((*x[:axis], *index, *x[axis + 1 :]),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([4, 3], typed(DType.I64, 2, 5), axis=0)
        yield sample([2, 4, 3], typed(DType.I32, 2), axis=-2)
        yield sample([4, 3], typed(DType.I64), axis=0)
        yield sample(np.array([1.0, 2.0, 3.0]), np.array([-1, 0, 2, 3, 99]), axis=0)
        yield sample([4, 3], typed(DType.I64, 0), axis=0)
        yield sample([0, 3], typed(DType.I64, 0), axis=0)
        yield sample([4, 3], [2], axis=0, error="E303")
        yield sample([4, 3], typed(DType.I64, 2), axis=2, error="E302")
        yield sample([0, 3], typed(DType.I64, 2), axis=0, error="E310")


class ScatterAdd(Op):
    """`x` with `source[i, j, k]` added at `[i, index[i, j, k], k]` for axis 1: what flows back through `gather`."""

    axis: int

    def infer(self, x: TensorType, index: TensorType, source: TensorType) -> TensorType:
        checks.numeric("`scatter_add`", x, source)
        check_index("scatter_add", x, index, self.axis)
        if index.shape != source.shape:
            raise error("E305", f"the index and the source of `scatter_add` have one shape, not {index} and {source}")
        return x.with_dtype(promote(x.dtype, source.dtype))

    def reference(self, x: Array, index: Array, source: Array) -> Array:
        axis = self.axis % x.ndim
        inside = (index >= 0) & (index < x.shape[axis])
        places = list(np.nonzero(inside))
        places[axis] = index[inside]
        result = x.astype(np.result_type(x, source))
        np.add.at(result, tuple(places), source[inside])
        return result

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x, index, _), (g,) = operands, cotangents
        axis = normalize_axis(self.axis, x.rank)
        return g, None, build.where(within(index, x.shape[axis]), build.gather(g, index, axis=axis), 0.0)

    def relate(self, relations: Relations, x: Axes, index: Axes, source: Axes) -> Related:
        relations.fixed((along_index(relations, x, relations.broadcast(index, source), self.axis)[self.axis],))
        return (x,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 4], typed(DType.I64, 2, 3), [2, 3], axis=1)
        yield sample([4, 3], typed(DType.I32, 6, 2), [6, 2], axis=0)
        yield sample([2, 4, 3], typed(DType.I64, 1, 6, 2), [1, 6, 2], axis=-2)
        yield sample([3], np.array([-1, 0, 0, 3, 2]), np.array([1.0, 2.0, 4.0, 8.0, 16.0]), axis=0)
        yield sample(typed(DType.I64, 4), typed(DType.I64, 6), typed(DType.I64, 6), axis=0)
        yield sample([2, 4], typed(DType.I64, 2, 0), [2, 0], axis=1)
        yield sample([2, 4], typed(DType.I64, 2, 3), [2, 2], axis=1, error="E305")
        yield sample([2, 4], typed(DType.I64, 3, 3), [3, 3], axis=1, error="E305")
        yield sample([2, 4], [2, 3], [2, 3], axis=1, error="E303")


class _Segments(Op, register=False):
    """x [n, *S] whose rows belong to the segments that an integer vector [n] names -> [count, *S]."""

    count: Size

    def infer(self, x: TensorType, segments: TensorType) -> TensorType:
        checks.numeric(f"`{self.name}`", x)
        checks.at_least(f"`{self.name}`", x, 1)
        checks.integer(f"the segments of `{self.name}`", segments)
        checks.ranked(f"the segments of `{self.name}`", segments, 1, "[n]")
        checks.same(f"the lengths of `{self.name}`", x.shape[0], f"{x}", segments.shape[0], f"the segments {segments}")
        checks.not_negative(f"the count of `{self.name}`", (self.count,))
        return x.with_shape((self.count, *x.shape[1:]))

    def relate(self, relations: Relations, x: Axes, segments: Axes) -> Related:
        count = Axis(self.count)
        relations.fixed((relations.same(x[0], segments[0]), count), "counts along it")
        return ((count, *x[1:]),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([6, 3], typed(DType.I64, 6), count=4)
        yield sample([6], typed(DType.I32, 6), count=6)
        yield sample([5], np.array([0, 3, -1, 2, 0]), count=3)
        yield sample([0, 2], typed(DType.I64, 0), count=2)
        yield sample([3, 2], typed(DType.I64, 3), count=0)
        yield sample(typed(DType.I64, 5), typed(DType.I64, 5), count=4)
        yield sample([6, 3], typed(DType.I64, 5), count=4, error="E305")
        yield sample([6, 3], [6], count=4, error="E303")
        yield sample([6, 3], typed(DType.I64, 6, 3), count=4, error="E304")
        yield sample([], typed(DType.I64, 1), count=4, error="E304")


class SegmentSum(_Segments):
    """The sum of the rows of each segment; 0 for a segment without rows."""

    def reference(self, x: Array, segments: Array) -> Array:
        result = np.zeros((known(self.count), *x.shape[1:]), x.dtype)
        inside = (segments >= 0) & (segments < len(result))
        np.add.at(result, segments[inside], x[inside])
        return result

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x, segments), (g,) = operands, cotangents
        return _rows(g, segments, x, self.count), None


class SegmentMax(_Segments):
    """The largest element of each segment.

    A segment without rows gives minus infinity, of integers the lowest that there is.
    """

    def infer(self, x: TensorType, segments: TensorType) -> TensorType:
        checks.real("`segment_max`", x)
        return super().infer(x, segments)

    def reference(self, x: Array, segments: Array) -> Array:
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        result = np.full((known(self.count), *x.shape[1:]), lowest, x.dtype)
        inside = (segments >= 0) & (segments < len(result))
        np.maximum.at(result, segments[inside], x[inside])
        return result

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x, segments), (g,) = operands, cotangents
        chosen = build.equal(x, _rows(results[0], segments, x, self.count))
        count = build.segment_sum(build.cast(chosen, g.dtype), segments, count=self.count)
        return build.where(chosen, _rows(g / build.maximum(count, 1), segments, x, self.count), 0.0), None


class SegmentMean(_Segments):
    """The mean of the rows of each segment; 0 for a segment without rows."""

    def infer(self, x: TensorType, segments: TensorType) -> TensorType:
        result = super().infer(x, segments)
        return result.with_dtype(checks.floating(x.dtype))

    def expand(self, x: Value, segments: Value) -> Value:
        total = apply(SegmentSum(self.count), x, segments)
        ones = apply(Full(1, segments.shape, total.dtype))
        count = apply(Maximum(), apply(SegmentSum(self.count), ones, segments), 1)
        return total / apply(Reshape((self.count, *(1,) * (x.rank - 1))), count)


class SegmentSoftmax(_Segments):
    """`softmax` among the rows of each segment, for each of their elements: [n, *S]; 0 for rows out of range."""

    def infer(self, x: TensorType, segments: TensorType) -> TensorType:
        checks.real("`segment_softmax`", x)
        super().infer(x, segments)
        return x.with_dtype(checks.floating(x.dtype))

    def expand(self, x: Value, segments: Value) -> Value:
        x = apply(Cast(checks.floating(x.dtype)), x)
        largest = build.stop_gradient(apply(SegmentMax(self.count), x, segments))
        shifted = x - _rows(largest, segments, x, self.count)
        powers = build.exp(build.where(_inside(segments, x, self.count), shifted, -math.inf))
        total = apply(SegmentSum(self.count), powers, segments)
        return powers * _rows(1.0 / total, segments, x, self.count)  # type: ignore[no-any-return]

    def relate(self, relations: Relations, x: Axes, segments: Axes) -> Related:
        relations.fixed((relations.same(x[0], segments[0]),), "counts along it")
        return (x,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([1e4, -1e4, 1e4, 0.0]), np.array([1, 1, 1, 0]), count=2)


class OneHot(Op):
    """1 where the last, new axis has the place that the index names, 0 elsewhere; zeros for one out of range."""

    count: Size
    dtype: DType = DType.FLOAT

    def infer(self, index: TensorType) -> TensorType:
        checks.integer("the index of `one_hot`", index)
        checks.not_negative("the count of `one_hot`", (self.count,))
        return TensorType(self.dtype, (*index.shape, self.count))

    def expand(self, index: Value) -> Value:
        # Counted in i64: a narrow index could not tell place 256 from place 0.
        places = apply(Arange(self.count))
        return apply(Cast(self.dtype), apply(Equal(), apply(Unsqueeze((-1,)), index), places))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(typed(DType.I64, 2, 3), count=4)
        yield sample(np.array([-1, 0, 3, 4]), count=4, dtype=DType.I64)
        yield sample(typed(DType.I32), count=5, dtype=DType.BOOL)
        yield sample(typed(DType.I64, 0), count=3)
        yield sample([3], count=4, error="E303")
        yield sample(typed(DType.I64, 3), count=-1, error="E307")


def check_index(what: str, x: TensorType, index: TensorType, axis: int) -> int:
    """The axis along which `index` counts, from the front. Raises E302, E303, E304, E305 where the two do not fit."""
    checks.integer(f"the index of `{what}`", index)
    checks.ranked(f"the index of `{what}`", index, x.rank, f"of the rank of {x}")
    axis = normalize_axis(axis, x.rank)
    for other, (size, wanted) in enumerate(zip(x.shape, index.shape, strict=True)):
        shorter = isinstance(size, int) and isinstance(wanted, int) and wanted <= size
        if other != axis and not shorter:
            checks.same(f"the sizes of axis {other} in `{what}`", wanted, f"the index {index}", size, f"{x}")
    return axis


def along_index(relations: Relations, x: Axes, index: Axes, axis: int) -> Axes:
    """The axes of an index into `x` along an axis; along the others it reaches as far as `x`, or is shorter."""
    axis = normalize_axis(axis, len(x))
    relations.fixed((x[axis],), "counts along it")
    for i, (a, b) in enumerate(zip(x, index, strict=True)):
        if i != axis and a.size == b.size:
            relations.same(a, b)
        elif i != axis:
            relations.fixed((a, b), "takes the first of it")
    return index


def _clamped(index: Array, size: int) -> Array:
    return np.clip(index.astype(np.int64), 0, max(size - 1, 0))


def _leading(index: Array, axis: int) -> tuple[slice, ...]:
    """The part of a tensor that an index reaches along the other axes."""
    return tuple(slice(None if i == axis else n) for i, n in enumerate(index.shape))


def _zeros(shape: tuple[Size, ...], like: Value) -> Value:
    return apply(Full(0.0, shape, like.dtype))


def _brought_inside(index: Value, size: Size) -> Value:
    """The place that reading takes for each index. The size may be a symbol, which `clip` does not take."""
    return build.minimum(build.maximum(index, 0), size - 1)  # type: ignore[no-any-return]


def within(index: Value, size: Size) -> Value:
    """Whether each index names a place."""
    return build.logical_and(index >= 0, index < size)  # type: ignore[no-any-return]


def _rows(y: Value, segments: Value, x: Value, count: Size) -> Value:
    """For each row of `x` that of its segment, zeros where that is out of range."""
    if count == 0:
        return _zeros(x.shape, y)
    return build.where(_inside(segments, x, count), build.take(y, segments, axis=0), 0.0)  # type: ignore[no-any-return]


def _inside(segments: Value, x: Value, count: Size) -> Value:
    """Whether each row of `x` has a segment, in a shape that fits it."""
    return apply(Reshape((*segments.shape, *(1,) * (x.rank - 1))), within(segments, count))
