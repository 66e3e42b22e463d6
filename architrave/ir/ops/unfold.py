"""The windows of images as columns, and back: what a convolution multiplies, and what flows back through it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from architrave.ir.arrays import np
from architrave.ir.dims import Size, divide, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.conv import Pairs, window_defaults, windows_that_fit
from architrave.ir.ops.index import SegmentSum, Take
from architrave.ir.ops.join import Pad, Slice
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.shape import Expand, Reshape, Transpose
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType


class Unfold(Op):
    """The windows of x [N, C, *S], each a column: [N, C * prod(kernel), L], for L windows in row-major order.

    A column holds the elements of the first channel in row-major order, then those of the second. Padding is zeros.
    Known as im2col, and as PyTorch's `unfold`.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    dilation: tuple[int, ...] = ()

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric("`unfold`", x)
        checks.ranked("the operand of `unfold`", x, len(self.kernel) + 2, "[N, C, *S]")
        counts = windows_that_fit(x, self.kernel, *_defaults(self))
        return x.with_shape((x.shape[0], x.shape[1] * math.prod(self.kernel), product(counts)))

    def expand(self, x: Value) -> Value:
        stride, padding, dilation = _defaults(self)
        padded = apply(Pad(((0, 0), (0, 0), *padding), value=0), x)
        counts = windows_that_fit(x.type, self.kernel, stride, padding, dilation)
        places = _places(padded.shape[2:], self.kernel, counts, stride, dilation)
        planes = apply(Reshape((*x.shape[:2], product(padded.shape[2:]))), padded)
        return apply(Reshape(self.infer(x.type).shape), apply(Take(2), planes, places))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 5, 6], kernel=(2, 3))
        yield sample([1, 2, 7], kernel=(3,), stride=(2,), padding=((1, 2),), dilation=(2,))
        yield sample([1, 2, 4, 5], kernel=(2, 2), stride=(2, 1), padding=((0, 1), (2, 0)), dilation=(1, 2))
        yield sample([1, 1, 3, 2, 4], kernel=(2, 1, 3), padding=((0, 0), (1, 0), (1, 1)))
        yield sample([0, 2, 3], kernel=(2,))
        yield sample([1, 1, 1], kernel=(1,))
        yield sample(np.array([[[np.inf, 1.0, np.nan]]]), kernel=(2,), padding=((1, 1),))
        yield sample(typed(DType.I64, 1, 2, 4), kernel=(2,), stride=(3,))
        yield sample([1, 2, 2], kernel=(3,), error="E307")
        yield sample([2, 3], kernel=(2,), error="E304")
        yield sample(typed(DType.BOOL, 1, 2, 4), kernel=(2,), error="E303")


class Fold(Op):
    """x [N, C * prod(kernel), L], each column a window, added up to [N, C, *size]: the transpose of `unfold`.

    What falls on the padding is left out.
    """

    size: tuple[Size, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    dilation: tuple[int, ...] = ()

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric("`fold`", x)
        checks.ranked("the operand of `fold`", x, 3, "[N, C * prod(kernel), L]")
        checks.per_axis("the size", self.size, len(self.kernel))
        checks.positive("each size of a kernel", self.kernel)
        cells = math.prod(self.kernel)
        channels = divide(x.shape[1], cells)
        if channels is None:
            raise error("E307", f"the {x.shape[1]} rows of {x} are not whole windows of {cells} elements")
        result = x.with_shape((x.shape[0], channels, *self.size))
        count = product(windows_that_fit(result, self.kernel, *_defaults(self)))
        checks.same("the windows of `fold`", x.shape[2], f"{x}", count, f"a plane of {list(self.size)}")
        return result

    def expand(self, x: Value) -> Value:
        stride, padding, dilation = _defaults(self)
        result = self.infer(x.type)
        batch, channels, *_ = result.shape
        plane = [before + size + after for size, (before, after) in zip(self.size, padding, strict=True)]
        counts = windows_that_fit(result, self.kernel, stride, padding, dilation)
        places = _places(plane, self.kernel, counts, stride, dilation)
        cells = product(places.shape)
        columns = apply(Transpose((2, 0, 1)), apply(Reshape((batch, channels, cells)), x))
        rows = apply(SegmentSum(product(plane)), columns, apply(Reshape((cells,)), places))
        padded = apply(Reshape((batch, channels, *plane)), apply(Transpose((1, 2, 0)), rows))
        starts = (0, 0, *(before for before, _ in padding))
        stops = tuple(start + size for start, size in zip(starts, result.shape, strict=True))
        return apply(Slice(starts, stops, (1,) * len(starts)), padded)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 12, 12], size=(5, 4), kernel=(2, 2))
        yield sample([1, 6, 3], size=(7,), kernel=(3,), stride=(2,), padding=((1, 2),), dilation=(2,))
        yield sample([1, 8, 10], size=(4, 5), kernel=(2, 2), stride=(2, 1), padding=((0, 1), (2, 0)), dilation=(1, 2))
        yield sample([1, 6, 24], size=(3, 2, 4), kernel=(2, 1, 3), padding=((0, 0), (1, 0), (1, 1)))
        yield sample([0, 4, 2], size=(3,), kernel=(2,))
        yield sample([1, 1, 1], size=(1,), kernel=(1,))
        yield sample(typed(DType.I64, 1, 2, 3), size=(4,), kernel=(2,))
        yield sample([1, 3, 3], size=(4,), kernel=(2,), error="E307")
        yield sample([1, 4, 4], size=(4,), kernel=(2,), error="E305")
        yield sample([4, 3], size=(4,), kernel=(2,), error="E304")
        yield sample(typed(DType.BOOL, 1, 2, 3), size=(4,), kernel=(2,), error="E303")


def _defaults(op: Unfold | Fold) -> tuple[Sequence[int], Pairs, Sequence[int]]:
    return window_defaults(len(op.kernel), op.stride, op.padding, op.dilation)


def _places(
    plane: Sequence[Size], kernel: Sequence[int], counts: Sequence[Size], stride: Sequence[int], dilation: Sequence[int]
) -> Value:
    """Where in a plane, row by row, each element of each window stands: [prod(kernel), prod(counts)]."""
    rank = len(kernel)
    shape = (*kernel, *counts)
    total = apply(Reshape((1,) * len(shape)), apply(Arange(1)))
    for axis in range(rank):
        within = _along(apply(Arange(kernel[axis])) * dilation[axis], axis, 2 * rank)
        starts = _along(apply(Arange(counts[axis])) * stride[axis], rank + axis, 2 * rank)
        total = total * plane[axis] + (within + starts)
    return apply(Reshape((math.prod(kernel), product(counts))), apply(Expand(shape), total))


def _along(x: Value, axis: int, rank: int) -> Value:
    """A vector as axis `axis` of `rank`."""
    return apply(Reshape(tuple(x.shape[0] if i == axis else 1 for i in range(rank))), x)
