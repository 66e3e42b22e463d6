"""Diagonals: taken from matrices, and laid into them."""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.dims import Size
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.index import Take
from architrave.ir.ops.join import Pad
from architrave.ir.ops.leaves import Arange, Full
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType


class Diagonal(Op):
    """The elements `k` above the main diagonal of the matrices along two axes, as the last axis of the result."""

    k: int = 0
    axes: tuple[int, int] = (-2, -1)

    def infer(self, x: TensorType) -> TensorType:
        checks.at_least("`diagonal`", x, 2)
        rows, columns = checks.distinct(self.axes, x.rank)
        rest = [size for axis, size in enumerate(x.shape) if axis not in (rows, columns)]
        return x.with_shape([*rest, _length(x, x.shape[rows], x.shape[columns], self.k)])

    def expand(self, x: Value) -> Value:
        named = checks.distinct(self.axes, x.rank)
        rest = [axis for axis in range(x.rank) if axis not in named]
        rows, columns = (x.shape[axis] for axis in named)
        x_last = apply(Transpose((*rest, *named)), x)
        flat = apply(Reshape((*x_last.shape[:-2], rows * columns)), x_last)
        start = self.k if self.k >= 0 else columns * -self.k
        places = apply(Arange(_length(x.type, rows, columns, self.k))) * (columns + 1) + start
        return apply(Take(flat.rank - 1), flat, places)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([3, 3])
        yield sample([2, 3, 5], k=1)
        yield sample([4, 2, 3], k=-2, axes=(0, 2))
        yield sample([5, 3], k=-4, axes=(1, 0))
        yield sample([3, 2], k=2)
        yield sample([0, 3, 3])
        yield sample([2, 0])
        yield sample(np.eye(3, dtype=bool), k=1)
        yield sample(typed(DType.I64, 1, 1))
        yield sample([3], error="E304")
        yield sample([3, 3], axes=(0, 0), error="E309")
        yield sample([3, 3], axes=(0, 2), error="E302")


class DiagEmbed(Op):
    """Matrices [..., n + |k|, n + |k|] that have x [..., n] `k` above their main diagonal, and zeros elsewhere."""

    k: int = 0

    def infer(self, x: TensorType) -> TensorType:
        checks.at_least("`diag_embed`", x, 1)
        size = x.shape[-1] + abs(self.k)
        return x.with_shape((*x.shape[:-1], size, size))

    def expand(self, x: Value) -> Value:
        n = x.shape[-1]
        places = apply(Arange(n))
        diagonal = build.equal(apply(Reshape((n, 1)), places), places)
        zero = apply(Full(False if x.dtype.is_bool else 0, (), x.dtype))
        matrix: Value = build.where(diagonal, apply(Reshape((*x.shape, 1)), x), zero)
        above, below = max(self.k, 0), max(-self.k, 0)
        widths = (*((0, 0),) * (x.rank - 1), (below, above), (above, below))
        value = False if x.dtype.is_bool else 0.0
        return apply(Pad(widths, value=value), matrix) if self.k else matrix

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([3])
        yield sample([2, 3], k=2)
        yield sample([2, 1, 2], k=-1)
        yield sample(np.array([np.inf, np.nan, 1.0]))
        yield sample([0])
        yield sample([0, 2], k=1)
        yield sample(np.array([True, False]), k=1)
        yield sample(typed(DType.I64, 2))
        yield sample([], error="E304")


def _length(x: TensorType, rows: Size, columns: Size, k: int) -> Size:
    """How many elements a diagonal has. Raises E307 where the sizes do not tell."""
    down, right = (rows, columns - k) if k >= 0 else (rows + k, columns)
    if isinstance(down, int) and isinstance(right, int):
        return max(min(down, right), 0)
    ahead = right - down
    if isinstance(ahead, int):
        return down if ahead >= 0 else right
    raise error("E307", f"the length of diagonal {k} of {x} is not known: it is the smaller of {down} and {right}")
