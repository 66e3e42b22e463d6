"""Reading images between their cells, at points that are computed: spatial transformers and their like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Literal

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.dims import Size, product
from architrave.ir.graph import Value, apply, constant
from architrave.ir.op import Op, Sample, opaque, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.contraction import Einsum
from architrave.ir.ops.join import Concat, Slice, Stack
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.logic import Cast, Isnan, Where
from architrave.ir.ops.resize import keys_of
from architrave.ir.ops.shape import Expand, Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, promote

AXES = "dhw"
"""Letters for the axes between which points are: as many as there may be."""


class GridSample(Op):
    """x [N, C, *S] at the points of a grid [N, *T, R], for R = 1, 2 or 3 axes: [N, C, *T].

    Jaderberg and others, "Spatial Transformer Networks" (2015). The numbers of a point are those of the last axis
    first, (x, y) for [N, C, H, W]. From -1 to 1 they go from the outer edge of the first cell to that of the last,
    with `align_corners` from centre to centre. Beyond, `padding` has zeros, the cell at the edge, or the image
    mirrored where -1 and 1 are. "bilinear" and "bicubic" are other names of "linear" and "cubic".
    """

    mode: Literal["nearest", "linear", "cubic", "bilinear", "bicubic"] = "linear"
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    align_corners: bool = False

    def infer(self, x: TensorType, grid: TensorType) -> TensorType:
        checks.numeric("`grid_sample`", x)
        checks.real("`grid_sample`", x)
        rank = x.rank - 2
        if not 1 <= rank <= len(AXES):
            raise error("E304", f"`grid_sample` reads [N, C, *S] with 1 to {len(AXES)} axes S, not {x}")
        if not grid.dtype.is_float:
            raise error("E303", f"the points of `grid_sample` must be floats, not {grid}")
        if grid.rank < 2 or grid.shape[-1] != rank:
            raise error("E304", f"the points of `grid_sample` for {x} must be [N, *T, {rank}], not {grid}")
        checks.same("the batches of `grid_sample`", x.shape[0], f"{x}", grid.shape[0], f"the grid {grid}")
        if 0 in x.shape[2:]:
            raise error("E310", f"`grid_sample` has nothing to choose from: {x} is empty along an axis")
        return TensorType(promote(checks.floating(x.dtype), grid.dtype), (*x.shape[:2], *grid.shape[1:-1]))

    def expand(self, x: Value, grid: Value) -> Value:
        sizes, batch, count = x.shape[2:], x.shape[0], product(grid.shape[1:-1])
        points = apply(Reshape((batch, count, len(sizes))), grid)
        cells: list[Value] = []
        insides: list[Value] = []
        shares: list[Value] = []
        for axis, n in enumerate(sizes):
            number = len(sizes) - 1 - axis
            coordinate = apply(Slice((0, 0, number), (batch, count, number + 1), (1, 1, 1)), points)
            places, weights = self._taps(coordinate, n)
            cells.append(build.minimum(build.maximum(places, 0), n - 1))
            insides.append(build.logical_and(places >= 0, places < n))
            shares.append(weights)
        cell = cells[0]
        for n, place in zip(sizes[1:], cells[1:], strict=True):
            cell = _paired(build.add, cell * n, place)
        inside = reduce(partial(_paired, build.logical_and), insides)
        share = reduce(partial(_paired, build.multiply), shares)
        return apply(Reshape(self.infer(x.type, grid.type).shape), _weighted(x, cell, inside, share))

    def _taps(self, coordinate: Value, n: Size) -> tuple[Value, Value]:
        """The cells that points read along one axis, and their weights, all [N, L, taps]. Cells may lie outside."""
        s = self._position(coordinate, n)
        if "cubic" in self.mode:
            first = build.floor(s)
            offsets = apply(Cast(s.dtype), apply(Arange(4)) - 1)
            return _whole(self._padded(first + offsets, n)), keys_of(build.abs((s - first) - offsets))
        s = self._padded(s, n)
        if self.mode == "nearest":
            return _whole(build.round(s)), apply(Where(), apply(Isnan(), s), s, 1.0)
        first = build.floor(s)
        return _whole(first + apply(Cast(s.dtype), apply(Arange(2)))), apply(Concat(-1), 1.0 - (s - first), s - first)

    def _position(self, coordinate: Value, n: Size) -> Value:
        """In cells, from the centre of the first. Far outside, where nothing changes any more, it is held."""
        shifted = coordinate + 1.0
        s = shifted / 2.0 * (n - 1) if self.align_corners else (shifted * n - 1.0) / 2.0
        return s if self.padding == "reflection" else _held(s, -4, n + 4)

    def _padded(self, s: Value, n: Size) -> Value:
        """Brought inside, where there is something beyond the edge."""
        if self.padding == "zeros":
            return s
        if self.padding == "reflection":
            low, span = (0.0, n - 1) if self.align_corners else (-0.5, n)
            s = _mirrored(s - low, span) + low
        return _held(s, 0, n - 1)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        far = np.array([[[-3.3, 0.2], [0.9, -0.95], [0.1, 0.6], [7.9, -1.7], [1.2, 1e9], [-np.inf, 0.3]]])
        image = np.arange(20.0).reshape(1, 1, 4, 5) ** 2
        for padding in ("zeros", "border", "reflection"):
            yield sample([2, 3, 4, 5], [2, 3, 2, 2], padding=padding, align_corners=True)
            yield sample([2, 3, 4, 5], [2, 6, 2], padding=padding, mode="nearest")
            yield sample([1, 2, 4, 5], [1, 6, 2], padding=padding, mode="cubic")
            yield sample(image, far[:, : 4 if padding == "reflection" else None], padding=padding)
        yield sample([2, 2, 3, 4, 2], [2, 2, 1, 3, 3], padding="border", mode="bilinear")
        yield sample([1, 2, 5], [1, 7, 1], mode="bicubic", align_corners=True)
        yield sample([1, 1, 1, 1], [1, 2, 2], padding="reflection", align_corners=True)
        yield sample(np.array([[[1.0, np.inf, 2.0]]]), np.array([[[-1.0], [1.0], [np.nan]]]))
        yield sample([0, 2, 3, 3], [0, 4, 2])
        yield sample([1, 2, 3, 3], [1, 0, 2])
        yield sample([2, 3, 4], [2, 1])
        yield sample(typed(DType.I64, 1, 2, 4), [1, 5, 1])
        yield sample([1, 2, 3, 3], typed(DType.I64, 1, 4, 2), error="E303")
        yield sample([1, 2, 3, 3], [1, 4, 3], error="E304")
        yield sample([1, 2], [1, 0], error="E304")
        yield sample([1, 2, 3, 3], [2, 4, 2], error="E305")
        yield sample([1, 2, 3, 0], [1, 4, 2], error="E310")


class AffineGrid(Op):
    """The points of an image of `size`, each moved by a matrix of theta [N, R, R + 1]: [N, *size, R].

    What `grid_sample` reads, with the same `align_corners`: `theta @ (x, y, 1)` for the point (x, y).
    """

    size: tuple[Size, ...]
    align_corners: bool = False

    def infer(self, theta: TensorType) -> TensorType:
        rank = len(self.size)
        if not 1 <= rank <= len(AXES):
            raise error("E307", f"`affine_grid` makes images with 1 to {len(AXES)} axes, not {rank}")
        checks.positive("a size of `affine_grid`", self.size)
        if not theta.dtype.is_float:
            raise error("E303", f"the matrices of `affine_grid` must be floats, not {theta}")
        if theta.rank != 3 or theta.shape[1:] != (rank, rank + 1):
            raise error("E304", f"the matrices of `affine_grid` must be [N, {rank}, {rank + 1}], not {theta}")
        return theta.with_shape((theta.shape[0], *self.size, rank))

    def expand(self, theta: Value) -> Value:
        rank = len(self.size)
        along = [self._centres(axis, theta.dtype) for axis in reversed(range(rank))]
        points = apply(Stack(-1), *(apply(Expand(self.size), x) for x in (*along, constant(1.0, theta.dtype))))
        letters = AXES[-rank:]
        return apply(Einsum(f"{letters}k,nrk->n{letters}r"), points, theta)

    def _centres(self, axis: int, dtype: DType) -> Value:
        """Where the cells of an axis are, as a tensor with the axes of the image."""
        n = self.size[axis]
        twice = apply(Cast(dtype), apply(Arange(n)) * 2 - (n - 1))
        # One cell alone is in the middle, also from centre to centre.
        width = apply(Cast(dtype), build.maximum(constant(n - 1, DType.I64), 1)) if self.align_corners else n
        return apply(Reshape(tuple(n if i == axis else 1 for i in range(len(self.size)))), twice / width)

    relate = opaque

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 2, 3], size=(3, 4))
        yield sample([2, 2, 3], size=(1, 5), align_corners=True)
        yield sample([1, 3, 4], size=(2, 3, 1))
        yield sample([3, 1, 2], size=(4,), align_corners=True)
        yield sample([0, 2, 3], size=(3, 4))
        yield sample([2, 2, 3], size=(3, 0), error="E307")
        yield sample([2, 2, 3], size=(), error="E307")
        yield sample([2, 2, 3], size=(3, 4, 5), error="E304")
        yield sample(typed(DType.I64, 2, 2, 3), size=(3, 4), error="E303")


def _weighted(x: Value, cell: Value, inside: Value, share: Value) -> Value:
    """What `x` [N, C, *S] has in the cells [N, L, K], numbered row by row, added up by `share`: [N, C, L]."""
    (batch, channels, *sizes), (_, count, taps) = x.shape, cell.shape
    index = apply(Expand((batch, channels, count * taps)), apply(Reshape((batch, 1, count * taps)), cell))
    found = build.gather(apply(Reshape((batch, channels, product(sizes))), x), index, axis=2)
    found = apply(Reshape((batch, channels, count, taps)), found)
    # Zeros instead of a weight of 0: what stands at the edge may be infinite.
    found = apply(Where(), apply(Reshape((batch, 1, count, taps)), inside), found, 0)
    return apply(Einsum("nclk,nlk->ncl"), found, share)


def _paired(combine: Callable[[Value, Value], Value], a: Value, b: Value) -> Value:
    """Every element of the last axis of `a` with every one of `b`'s."""
    lead, m, k = a.shape[:-1], a.shape[-1], b.shape[-1]
    pairs = combine(apply(Reshape((*lead, m, 1)), a), apply(Reshape((*lead, 1, k)), b))
    return apply(Reshape((*lead, m * k)), pairs)


def _whole(s: Value) -> Value:
    """Cells as integers. One that is NaN is the first: its weight is NaN."""
    return apply(Cast(DType.I64), apply(Where(), apply(Isnan(), s), 0.0, s))


def _held(s: Value, low: Size, high: Size) -> Value:
    """Between two bounds, with a gradient of 0 at either."""
    return apply(Where(), s <= low, low, apply(Where(), s >= high, high, s))


def _mirrored(s: Value, span: Size) -> Value:
    """`s` as it is between 0 and `span`, then back and forth. A span of 0 has its only point."""
    t = apply(Where(), s < 0, -s, s) % build.maximum(constant(2 * span, s.dtype), 1)
    return apply(Where(), t >= span, -t + 2 * span, t)
