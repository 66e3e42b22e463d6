"""Pooling to a given size: as many windows as are asked for, which may differ in length and overlap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir.arrays import np
from architrave.ir.dims import Size, ceil_div, divide
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Related, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.arithmetic import Minimum
from architrave.ir.ops.conv import moved_over
from architrave.ir.ops.index import Gather, Take
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.logic import Cast, Where
from architrave.ir.ops.reduce import Argmax, Sum
from architrave.ir.ops.shape import Reshape, Squeeze
from architrave.ir.ops.statistics import Mean
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations


class _Adaptive(Op, register=False):
    """Over the last `len(size)` axes, one after the other."""

    size: tuple[Size, ...]

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric(f"`{self.name}`", x)
        checks.real(f"`{self.name}`", x)
        checks.at_least(f"`{self.name}` of {len(self.size)} axes", x, len(self.size))
        checks.positive("a size to pool to", self.size)
        lead = x.rank - len(self.size)
        if 0 in x.shape[lead:]:
            raise error("E310", f"`{self.name}` has nothing to choose from: {x} is empty along an axis to be pooled")
        return x.with_shape((*x.shape[:lead], *self.size))

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (moved_over(relations, x, len(self.size)),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 7], size=(3,))
        yield sample([1, 2, 6, 5], size=(3, 2))
        yield sample([1, 2, 4, 5, 3], size=(1, 3, 3))
        yield sample([2, 3], size=(5,))
        yield sample([1, 1, 1], size=(1,))
        yield sample([0, 3, 4], size=(2,))
        yield sample([2, 3], size=())
        yield sample(np.array([[np.inf, 1.0, 1.0, 0.0, 1.0, 1.0], [np.nan, 1.0, 2.0, 2.0, 2.0, -np.inf]]), size=(4,))
        yield sample(typed(DType.I64, 2, 5), size=(2,))
        yield sample([2, 3], size=(0,), error="E307")
        yield sample([3], size=(2, 2), error="E304")
        yield sample([2, 0], size=(2,), error="E310")
        yield sample(typed(DType.BOOL, 5), size=(2,), error="E303")


class AdaptiveAvgPool(_Adaptive):
    """The mean of each of `size` windows over the last axes, as PyTorch has them.

    Window `i` of `m` on an axis of `n` is from `i * n // m` to `ceil((i + 1) * n / m)`.
    """

    def infer(self, x: TensorType) -> TensorType:
        result = super().infer(x)
        return result.with_dtype(checks.floating(x.dtype))

    def expand(self, x: Value) -> Value:
        x = x * 1.0
        for axis, size in enumerate(self.size, x.rank - len(self.size)):
            x = _mean(x, axis, size)
        return x


class AdaptiveMaxPool(_Adaptive):
    """The largest element of each of `size` windows over the last axes, as PyTorch has them; of equals the first.

    Window `i` of `m` on an axis of `n` is from `i * n // m` to `ceil((i + 1) * n / m)`.
    """

    def expand(self, x: Value) -> Value:
        # The last axis first, so that the first of equals is so in row-major order.
        for axis in reversed(range(x.rank - len(self.size), x.rank)):
            x = _largest(x, axis, self.size[axis - x.rank])
        return x


def _mean(x: Value, axis: int, count: Size) -> Value:
    if divide(x.shape[axis], count) is not None:
        return apply(Mean((axis + 1,)), _parts(x, axis, count))
    places, stops = _bounds(x.shape[axis], count)
    inside = _facing(places < stops, x.rank - axis - 1)
    total = apply(Sum((axis + 1,)), apply(Where(), inside, _windows(x, axis, count), 0.0))
    lengths = apply(Sum((1,)), apply(Cast(total.dtype), places < stops))
    return total / _facing(lengths, x.rank - axis - 1)


def _largest(x: Value, axis: int, count: Size) -> Value:
    windows = _parts(x, axis, count) if divide(x.shape[axis], count) is not None else _windows(x, axis, count)
    first = apply(Argmax(axis + 1, keep=True), windows)
    return apply(Squeeze((axis + 1,)), apply(Gather(axis + 1), windows, first))


def _parts(x: Value, axis: int, count: Size) -> Value:
    """Equal parts of one axis: [..., count, n / count, ...]."""
    part = divide(x.shape[axis], count)
    assert part is not None
    return apply(Reshape((*x.shape[:axis], count, part, *x.shape[axis + 1 :])), x)


def _windows(x: Value, axis: int, count: Size) -> Value:
    """The windows of one axis, each filled up with its last element: [..., count, longest, ...]."""
    places, stops = _bounds(x.shape[axis], count)
    return apply(Take(axis), x, apply(Minimum(), places, stops - 1))


def _bounds(n: Size, count: Size) -> tuple[Value, Value]:
    """The places of each window and of what follows it, as many as the longest has; and where each one stops."""
    window = apply(Reshape((count, 1)), apply(Arange(count)))
    places = window * n // count + apply(Arange(ceil_div(n, count) + 1))
    return places, ((window + 1) * n + (count - 1)) // count


def _facing(x: Value, trailing: int) -> Value:
    """`x` before so many axes."""
    return apply(Reshape((*x.shape, *(1,) * trailing)), x)
