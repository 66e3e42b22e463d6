"""Pooling over the last axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from architrave.ir.arrays import Array, known, np
from architrave.ir.dims import Size, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.conv import Conv, Pairs, moved_over, window_defaults, windows_that_fit
from architrave.ir.ops.index import ScatterAdd
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.scatter import Scatter
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations


class MaxPool(Op):
    """The largest element of each window over the last `len(kernel)` axes; padding is never chosen.

    An empty stride is the kernel's size, an empty padding none, an empty dilation 1. NaN wins.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    dilation: tuple[int, ...] = ()

    def infer(self, x: TensorType) -> TensorType:
        return _pooled("max_pool", x, self.kernel, self.stride or self.kernel, self.padding, self.dilation)

    def reference(self, x: Array) -> Array:
        lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        windows = _windows(x, self.kernel, self.stride or self.kernel, self.padding, self.dilation, lowest)
        return np.asarray(np.max(windows, axis=tuple(range(x.ndim, windows.ndim))))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), (g,) = operands, cotangents
        rank = len(self.kernel)
        lead = x.shape[: x.rank - rank]
        places = apply(MaxPoolPlaces(self.kernel, self.stride, self.padding, self.dilation), x)
        chosen, flat = (apply(Reshape((*lead, product(g.shape[x.rank - rank :]))), v) for v in (places, g))
        nothing = apply(Full(0.0, (*lead, product(x.shape[x.rank - rank :])), g.dtype))
        back = apply(ScatterAdd(len(lead)), nothing, chosen, flat)
        return (apply(Reshape(x.shape), back),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (moved_over(relations, x, len(self.kernel)),) * len(relations.results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from _samples()
        yield sample([1, 2, 9], kernel=(3,), stride=(2,), padding=((2, 1),), dilation=(2,))
        yield sample(typed(DType.I32, 2, 5), kernel=(2,), padding=((1, 0),))
        yield sample(np.array([1.0, np.nan, 3.0, 4.0]), kernel=(2,), stride=(1,))


class MaxPoolPlaces(Op):
    """Where `max_pool` finds the largest element of each window, the first of equals: an i64.

    Places count through the last `len(kernel)` axes of `x` in row-major order. Of NaNs it is the first.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    dilation: tuple[int, ...] = ()

    def infer(self, x: TensorType) -> TensorType:
        pooled = _pooled("max_pool_places", x, self.kernel, self.stride or self.kernel, self.padding, self.dilation)
        return pooled.with_dtype(DType.I64)

    def reference(self, x: Array) -> Array:
        rank = len(self.kernel)
        shape: tuple[int, ...] = x.shape[x.ndim - rank :]
        options = (self.kernel, self.stride or self.kernel, self.padding, self.dilation)
        places = _windows(np.asarray(np.arange(math.prod(shape)).reshape(shape)), *options, -1)
        windows = _windows(x, *options, 0)
        pooled = MaxPool(self.kernel, self.stride, self.padding, self.dilation).reference(x)
        largest = pooled.reshape(*pooled.shape, *(1,) * rank)
        chosen = (places >= 0) & ((windows == largest) | ((windows != windows) & (largest != largest)))
        return np.asarray(np.min(np.where(chosen, places, x.size), axis=tuple(range(x.ndim, chosen.ndim))))

    gradient = without_gradient

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (moved_over(relations, x, len(self.kernel)),) * len(relations.results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from MaxPool.samples()
        yield sample(np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 2.0]]), kernel=(2, 2), stride=(1, 1))
        yield sample(np.array([[-np.inf, -np.inf, 3.0]]), kernel=(2,), stride=(1,), padding=((1, 1),))


class MaxUnpool(Op):
    """What `max_pool` chose, back at the places that `max_pool_places` gave, among zeros; over the last axes.

    `size` are the sizes of these axes. Of several values for one place the last remains, and a place that is out of
    range gets none.
    """

    size: tuple[Size, ...]

    def infer(self, x: TensorType, places: TensorType) -> TensorType:
        checks.integer("the places of `max_unpool`", places)
        checks.at_least(f"`max_unpool` over {len(self.size)} axes", x, len(self.size))
        checks.not_negative("a size", self.size)
        if x.shape != places.shape:
            raise error("E305", f"the values and the places of `max_unpool` have one shape, not {x} and {places}")
        return x.with_shape((*x.shape[: x.rank - len(self.size)], *self.size))

    def expand(self, x: Value, places: Value) -> Value:
        rank = len(self.size)
        lead = x.shape[: x.rank - rank]
        flat = (*lead, product(x.shape[x.rank - rank :]))
        zeros = apply(Full(False if x.dtype.is_bool else 0, (*lead, product(self.size)), x.dtype))
        values = apply(Scatter(len(lead)), zeros, *(apply(Reshape(flat), v) for v in (places, x)))
        return apply(Reshape((*lead, *self.size)), values)

    def relate(self, relations: Relations, x: Axes, places: Axes) -> Related:
        relations.fixed(places[len(places) - len(self.size) :], "moves a window over it")
        return (moved_over(relations, relations.broadcast(x, places), len(self.size)),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 2], np.array([[[0, 3]] * 3, [[1, 2]] * 3]), size=(5,))
        yield sample([1, 2, 2, 2], np.array([[[[0, 2], [9, 7]], [[5, 5], [-1, 12]]]]), size=(4, 3))
        yield sample([2, 1, 1, 2], typed(DType.I64, 2, 1, 1, 2), size=(1, 2, 3))
        yield sample(typed(DType.I32, 3), typed(DType.I32, 3), size=(4,))
        yield sample([0, 2], typed(DType.I64, 0, 2), size=(4,))
        yield sample([2, 2], typed(DType.I64, 2, 3), size=(4,), error="E305")
        yield sample([2, 2], [2, 2], size=(4,), error="E303")
        yield sample([2], typed(DType.I64, 2), size=(4, 4), error="E304")
        yield sample([2], typed(DType.I64, 2), size=(-4,), error="E307")


class AvgPool(Op):
    """The mean of each window over the last `len(kernel)` axes.

    With `count_padding` padding is zeros that count; else the mean is over the elements inside `x`.
    An empty stride is the kernel's size, an empty padding none.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    count_padding: bool = True

    def infer(self, x: TensorType) -> TensorType:
        result = _pooled("avg_pool", x, self.kernel, self.stride or self.kernel, self.padding, ())
        return result.with_dtype(checks.floating(x.dtype))

    def reference(self, x: Array) -> Array:
        outside = 0.0 if self.count_padding else np.nan
        windows = _windows(x.astype(np.float64), self.kernel, self.stride or self.kernel, self.padding, (), outside)
        axes = tuple(range(x.ndim, windows.ndim))
        if self.count_padding:
            return np.asarray(np.mean(windows, axis=axes))
        inside = _windows(np.ones(x.shape), self.kernel, self.stride or self.kernel, self.padding, (), 0.0)
        total = np.sum(np.where(inside > 0, windows, 0.0), axis=axes)
        return np.asarray(total / np.sum(inside, axis=axes))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), (g,) = operands, cotangents
        rank = len(self.kernel)
        stride, padding, dilation = window_defaults(rank, self.stride or self.kernel, self.padding, ())
        plane = (1, 1, *x.shape[x.rank - rank :])
        ones = apply(Full(1.0, (1, 1, *self.kernel), g.dtype))
        planes = apply(Reshape((product(g.shape[: g.rank - rank]), 1, *g.shape[g.rank - rank :])), g)
        inside = math.prod(self.kernel)
        sums = Conv(tuple(stride), padding, tuple(dilation))
        count = apply(sums, apply(Full(1.0, plane, g.dtype)), ones) if not self.count_padding else inside
        example = apply(Full(0.0, (planes.shape[0], *plane[1:]), g.dtype))
        back, *_ = sums.gradient((example, ones), (planes,), (planes / count,))
        assert back is not None
        return (apply(Reshape(x.shape), back),)

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (moved_over(relations, x, len(self.kernel)),) * len(relations.results)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from _samples()
        yield sample([1, 2, 5, 5], kernel=(3, 2), stride=(2, 2), padding=((1, 2), (0, 1)), count_padding=False)
        yield sample(typed(DType.I32, 2, 5), kernel=(2,))


def _samples() -> Iterator[Sample]:
    yield sample([2, 3, 7], kernel=(2,))
    yield sample([2, 3, 6, 7], kernel=(3, 2), stride=(2, 1), padding=((1, 1), (0, 1)))
    yield sample([1, 2, 4, 5, 3], kernel=(2, 3, 1), stride=(1, 2, 1))
    yield sample([1, 1, 1], kernel=(1,))
    yield sample([5], kernel=(3,), stride=(3,), padding=((2, 2),))
    yield sample([0, 3, 4], kernel=(2,))
    yield sample([2, 3], kernel=())
    yield sample([1, 1, 2], kernel=(3,), error="E307")
    yield sample([1, 1, 5], kernel=(0,), error="E307")
    yield sample([1, 1, 5], kernel=(2,), padding=((2, 0),), error="E307")
    yield sample([1, 1, 5], kernel=(2,), stride=(1, 1), error="E307")
    yield sample([5], kernel=(2, 2), error="E304")
    yield sample(typed(DType.BOOL, 5), kernel=(2,), error="E303")


def _pooled(
    what: str, x: TensorType, kernel: Sequence[int], stride: Sequence[int], padding: Pairs, dilation: Sequence[int]
) -> TensorType:
    checks.numeric(f"`{what}`", x)
    checks.real(f"`{what}`", x)
    checks.at_least(f"`{what}` over {len(kernel)} axes", x, len(kernel))
    stride, padding, dilation = window_defaults(len(kernel), stride, padding, dilation)
    counts = windows_that_fit(x, kernel, stride, padding, dilation)
    for k, pair, d in zip(kernel, padding, dilation, strict=True):
        reach = d * (k - 1) + 1
        wide = next((width for width in pair if isinstance(width, int) and width >= reach), None)
        if wide is not None:
            raise error("E307", f"a padding of {wide} leaves a window of {reach} without any element")
    return x.with_shape([*x.shape[: x.rank - len(kernel)], *counts])


def _windows(
    x: Array, kernel: Sequence[int], stride: Sequence[int], padding: Pairs, dilation: Sequence[int], outside: float
) -> Array:
    """The windows of `x` [..., *S] padded with `outside`: [..., *T, *kernel]."""
    rank = len(kernel)
    stride, padding, dilation = window_defaults(rank, stride, padding, dilation)
    lead = x.ndim - rank
    widths = [*((0, 0),) * lead, *((known(before), known(after)) for before, after in padding)]
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    padded = np.pad(x, widths, constant_values=outside) if widths else x
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(range(lead, x.ndim)))
    return windows[(*(slice(None),) * lead, *(slice(None, None, step) for step in (*stride, *dilation)))]
