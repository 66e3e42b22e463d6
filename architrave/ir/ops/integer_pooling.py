"""Means and sums of 8-bit integers where branches meet, in integers of 32 bits.

They keep bits behind the point, so that the one rounding that counts is that of `requantize` behind them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir.arrays import np
from architrave.ir.dims import Size, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Related, Sample, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.conv import window_defaults
from architrave.ir.ops.integer_functions import divided, exactly, fits, small, widened
from architrave.ir.ops.join import Pad, Slice
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.pooling import AvgPool
from architrave.ir.ops.reduce import Sum, kept_axes, reduced
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations

FRACTION = 8
"""A mean has so many bits behind the point."""

MOST = 2**15
"""How many elements a mean may be of: `MOST * 255 * 2**FRACTION` fits into 32 bits."""


class _MeanInteger(Op, register=False):
    """A mean of what 8-bit integers stand for, `x - zero`, in steps of `2 ** -8`, rounded half to even; an i32."""

    gradient = without_gradient

    def _checked(self, x: TensorType, zero: TensorType | None, count: Size) -> None:
        small(f"what `{self.name}` reads", x)
        if zero is not None:
            exactly(f"the zero point of `{self.name}`", zero, DType.I32)
        fits(f"what `{self.name}` is the mean of", count, MOST)


class MeanInteger(_MeanInteger):
    """The mean of `x - zero` over `axes`, all of them for None, in steps of `2 ** -8`, rounded half to even; an i32.

    With `keep` the axes stay with size 1. `x` is of 8 bits, and `zero` an i32 that is an integer of 8 bits. The mean of
    nothing is 0. Raises E900 for more than 32,768 elements.
    """

    axes: tuple[int, ...] | None = None
    keep: bool = False

    def infer(self, x: TensorType, zero: TensorType | None = None) -> TensorType:
        self._checked(x, zero, self._count(x.shape))
        return reduced(x, self.axes, self.keep).with_dtype(DType.I32)

    def expand(self, x: Value, zero: Value | None = None) -> Value:
        sums = widened(apply(Sum(self.axes, self.keep), _steps(x, zero)))
        return _mean(sums, apply(Full(self._count(x.shape), (), DType.I32)))

    def _count(self, shape: tuple[Size, ...]) -> Size:
        return product(shape[axis] for axis in checks.axis_set(self.axes, len(shape)))

    def relate(self, relations: Relations, x: Axes, *others: Axes) -> Related:
        relations.opaque(others)
        return (kept_axes(relations, x, self.axes, self.keep, "takes a mean over it"),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        zero = np.array(-3, np.int32)
        yield sample(typed(DType.I8, 2, 3))
        yield sample(typed(DType.U8, 2, 3, 4), zero, axes=(0, -1))
        yield sample(typed(DType.I8, 2, 3, 4), zero, axes=(1,), keep=True)
        yield sample(typed(DType.I8, 2, 3), axes=())
        yield sample(typed(DType.I8, 2, 0), axes=(1,))
        yield sample(np.stack([np.full(MOST, 255), np.arange(MOST) % 2]).astype(np.uint8), axes=(1,))
        yield sample(np.full((1, MOST), -128, np.int8), np.array(127, np.int32), axes=(1,))
        yield sample(np.array([[-128] * 7, [127] * 7, [1, 0, 0, 0, 0, 0, 0]], np.int8), axes=(1,))
        yield sample(typed(DType.I8, MOST + 1), error="E900")
        yield sample([2, 3], error="E303")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8), error="E305")
        yield sample(typed(DType.I8, 2, 3), axes=(2,), error="E302")


class AveragePoolInteger(_MeanInteger):
    """The mean of `x - zero` in each window over the last axes, in steps of `2 ** -8`, rounded half to even; an i32.

    The attributes are those of `avg_pool`: with `count_padding` padding counts, and stands for 0. `x` is of 8 bits, and
    `zero` an i32 that is an integer of 8 bits. Raises E900 for windows of more than 32,768 elements.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    count_padding: bool = True

    def infer(self, x: TensorType, zero: TensorType | None = None) -> TensorType:
        self._checked(x, zero, math.prod(self.kernel))
        pool = AvgPool(self.kernel, self.stride, self.padding, self.count_padding)
        return pool.infer(x).with_dtype(DType.I32)

    def expand(self, x: Value, zero: Value | None = None) -> Value:
        sums, one = self._sums(_steps(x, zero)), Full(math.prod(self.kernel), (), DType.I32)
        if self.count_padding or not any(map(any, self.padding)):
            return _mean(sums, apply(one))
        plane = x.shape[x.rank - len(self.kernel) :]
        return _mean(sums, self._sums(apply(Full(1, plane, DType.I32))))

    def _sums(self, x: Value) -> Value:
        """The sum of each window: an axis after the other, so that few slices are added."""
        rank = len(self.kernel)
        strides, padding, _ = window_defaults(rank, self.stride or self.kernel, self.padding, ())
        lead = x.rank - rank
        if any(map(any, padding)):
            x = apply(Pad((*((0, 0),) * lead, *padding), value=0), x)
        for axis, (size, stride) in enumerate(zip(self.kernel, strides, strict=True), start=lead):
            x = _sums_along(x, axis, size, stride)
        return x

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        zero = np.array(5, np.int32)
        sides = ((1, 1), (0, 1))
        for counted in (True, False):
            yield sample(
                typed(DType.I8, 2, 3, 6, 7), kernel=(3, 2), stride=(2, 1), padding=sides, count_padding=counted
            )
            yield sample(
                typed(DType.U8, 2, 3, 6, 7), zero, kernel=(3, 2), stride=(2, 1), padding=sides, count_padding=counted
            )
            yield sample(
                np.full((1, 4, 4), -128, np.int8), np.array(127, np.int32), kernel=(2, 2), count_padding=counted
            )
            yield sample(
                np.arange(-8, 8).astype(np.int8), kernel=(5,), stride=(1,), padding=((4, 2),), count_padding=counted
            )
        yield sample(typed(DType.I8, 1, 2, 4, 5, 3), kernel=(2, 3, 1), stride=(1, 2, 1))
        yield sample(typed(DType.I8, 0, 3, 4), kernel=(2,))
        yield sample(typed(DType.I8, 2, 3), kernel=())
        yield sample(typed(DType.I8, 256, 256), kernel=(256, 256), error="E900")
        yield sample(typed(DType.I8, 5), kernel=(2,), padding=((2, 0),), error="E307")
        yield sample(typed(DType.I8, 5), kernel=(2, 2), error="E304")
        yield sample(typed(DType.I32, 5), kernel=(2,), error="E303")


class AddInteger(Op):
    """`a * a_multiplier + b * b_multiplier + bias` of 8-bit integers, which broadcast; an i32.

    It adds what has two scales: multipliers are what a step of each is, in steps of the result, and the bias has the
    zero points. All three are i32; multipliers to `2 ** 21` and a bias to `2 ** 30` leave room for every `a` and `b`.
    """

    def infer(
        self,
        a: TensorType,
        b: TensorType,
        a_multiplier: TensorType,
        b_multiplier: TensorType,
        bias: TensorType | None = None,
    ) -> TensorType:
        for operand in (a, b):
            small("what `add_integer` adds", operand)
        given = [a_multiplier, b_multiplier, *([] if bias is None else [bias])]
        wrong = next((type for type in given if type.dtype is not DType.I32), None)
        if wrong is not None:
            raise error("E303", f"the multipliers and the bias of `add_integer` must be i32, not {wrong}")
        return TensorType(DType.I32, broadcast(a.shape, b.shape, *(type.shape for type in given)))

    def expand(self, a: Value, b: Value, a_multiplier: Value, b_multiplier: Value, bias: Value | None = None) -> Value:
        y = widened(a) * a_multiplier + widened(b) * b_multiplier
        return y if bias is None else y + bias

    gradient = without_gradient

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        most, some, bias = np.array(2**21, np.int32), np.array(-12345, np.int32), np.array(2**30, np.int32)
        signed, unsigned = np.arange(-128, 128).astype(np.int8), np.arange(256).astype(np.uint8)
        yield sample(signed, unsigned, most, most, bias)
        yield sample(unsigned, unsigned, most, most, -bias)
        yield sample(signed[:, None], signed[::51].copy(), most, some)
        yield sample(typed(DType.I8, 2, 3), typed(DType.I8, 3), typed(DType.I32, 2, 1), some)
        yield sample(typed(DType.I8, 0, 3), typed(DType.I8, 3), some, some)
        yield sample(typed(DType.I8, 2), typed(DType.I8, 3), some, some, error="E301")
        yield sample(typed(DType.I8, 2), typed(DType.I32, 2), some, some, error="E303")
        yield sample(typed(DType.I8, 2), typed(DType.I8, 2), some, typed(DType.I64), error="E303")


def _steps(x: Value, zero: Value | None) -> Value:
    """What integers stand for, in steps of their scale: an i32."""
    return widened(x) if zero is None else widened(x) - zero


def _mean(sums: Value, count: Value) -> Value:
    return divided(sums * 2**FRACTION, count)


def _sums_along(x: Value, axis: int, size: int, stride: int) -> Value:
    """The sums of `size` neighbours along an axis, `stride` apart."""
    last = x.shape[axis] - size

    def shifted(by: int) -> Value:
        starts = tuple(by if i == axis else 0 for i in range(x.rank))
        stops = tuple(last + by + 1 if i == axis else size for i, size in enumerate(x.shape))
        return apply(Slice(starts, stops, tuple(stride if i == axis else 1 for i in range(x.rank))), x)

    total = shifted(0)
    for by in range(1, size):
        total = total + shifted(by)
    return total
