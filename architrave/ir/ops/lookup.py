"""Looking up: sums over bags of rows, and places in what is sorted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.dims import product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, opaque, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.index import Take
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.shape import Expand, Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast, promote


class EmbeddingBag(Op):
    """The sum, mean or maximum of the rows of a table [V, D] that each bag of an index [..., L] names -> [..., D].

    `weights` [..., L] are what the rows of a sum are multiplied by.
    """

    mode: Literal["sum", "mean", "max"] = "sum"

    def infer(self, table: TensorType, index: TensorType, weights: TensorType | None = None) -> TensorType:
        checks.numeric("`embedding_bag`", table)
        checks.ranked("the table of `embedding_bag`", table, 2, "[rows, width]")
        checks.integer("the index of `embedding_bag`", index)
        checks.at_least("the index of `embedding_bag`", index, 1)
        if self.mode == "max":
            checks.real("the maximum of `embedding_bag`", table)
            checks.not_empty("`embedding_bag`", index, (index.rank - 1,))
        if table.shape[0] == 0 and index.size != 0:
            raise error("E310", f"`embedding_bag` has nothing to choose from: {table} has no rows")
        dtype = {"sum": checks.total, "mean": checks.floating}.get(self.mode, _same)(table.dtype)
        if weights is not None:
            dtype = self._weighted(dtype, index, weights)
        return TensorType(dtype, (*index.shape[:-1], table.shape[1]))

    def _weighted(self, dtype: DType, index: TensorType, weights: TensorType) -> DType:
        if self.mode != "sum":
            raise error("E307", f'the {self.mode} of `embedding_bag` takes no weights, only its "sum" does')
        if weights.shape != index.shape:
            raise error("E305", f"the index and the weights of `embedding_bag` have one shape, not {index}, {weights}")
        return checks.total(promote(dtype, weights.dtype))

    def expand(self, table: Value, index: Value, weights: Value | None = None) -> Value:
        rows = apply(Take(0), table, index)
        if weights is not None:
            rows = rows * apply(Reshape((*weights.shape, 1)), weights)
        result: Value = getattr(build, self.mode)(rows, axes=[rows.rank - 2])
        return result

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for mode in ("sum", "mean", "max"):
            yield sample([4, 3], typed(DType.I64, 2, 5), mode=mode)
            yield sample([4, 1], typed(DType.I32, 3), mode=mode)
            yield sample([4, 2], np.array([[-1, 0], [9, 3]]), mode=mode)
            yield sample([4, 3], typed(DType.I64, 0, 2), mode=mode)
        yield sample([4, 3], typed(DType.I64, 2, 5), [2, 5])
        yield sample(typed(DType.I64, 4, 3), typed(DType.I64, 2, 5), typed(DType.I64, 2, 5))
        yield sample([4, 3], typed(DType.I64, 2, 0))
        yield sample([4, 3], typed(DType.I64, 2, 0), mode="max", error="E310")
        yield sample([0, 3], typed(DType.I64, 2, 1), error="E310")
        yield sample([4, 3], typed(DType.I64, 2, 5), [2, 5], mode="mean", error="E307")
        yield sample([4, 3], typed(DType.I64, 2, 5), [5], error="E305")
        yield sample([4, 3], [2, 5], error="E303")
        yield sample([4], typed(DType.I64, 2, 5), error="E304")


class Searchsorted(Op):
    """How many elements of a row of `sorted` [..., n] are less than each of `x` [..., m]: where to put it, an i64.

    With `right` those that are equal count, too. NaN is larger than every number. The axes before the last broadcast;
    of rows that are not in ascending order the result is left open.
    """

    presumes = "the rows of the first operand are sorted"
    right: bool = False

    def infer(self, sorted: TensorType, x: TensorType) -> TensorType:
        for type in (sorted, x):
            checks.real("`searchsorted`", type)
            checks.at_least("`searchsorted`", type, 1)
        return TensorType(DType.I64, (*broadcast(sorted.shape[:-1], x.shape[:-1]), x.shape[-1]))

    def expand(self, sorted: Value, x: Value) -> Value:
        dtype, lead = promote(sorted.dtype, x.dtype), broadcast(sorted.shape[:-1], x.shape[:-1])
        n, m = sorted.shape[-1], x.shape[-1]
        rows, new = (apply(Expand((*lead, v.shape[-1])), apply(Cast(dtype), v)) for v in (sorted, x))
        # Sorted together, of equals those first that are to count as less; then counted up to each of `x`.
        pair, start = ((rows, new), n) if self.right else ((new, rows), 0)
        order = build.argsort(build.concat(*pair, axis=-1))
        of_rows = order < n if self.right else order >= m
        counts = build.cumsum(build.cast(of_rows, DType.I64), axis=-1)
        places = build.gather(counts, build.argsort(order), axis=-1)
        starts, stops = (0,) * len(lead), tuple(lead)
        steps = (1,) * places.rank
        return build.slice(places, [*starts, start], [*stops, start + m], steps)  # type: ignore[no-any-return]

    gradient = without_gradient

    relate = opaque

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        steps = np.array([-1.0, 0.0, 0.0, 2.0, np.inf])
        for right in (False, True):
            yield sample(steps, np.array([0.0, -0.0, -2.0, -1.0, 2.0, 3.0, np.inf, -np.inf, np.nan]), right=right)
            yield sample(np.array([[1.0, 2.0], [2.0, np.nan]]), np.array([[2.0, np.nan, 1.0]]), right=right)
            yield sample(np.array([1, 3, 3, 9]), np.array([[3, 0], [9, 10]]), right=right)
        yield sample(np.array([1, 3]), np.array([2.5, 3.0]))
        yield sample(np.zeros(0), [2, 3])
        yield sample(steps, [0])
        yield sample([], [2], error="E304")
        yield sample([2, 3], [3, 3], error="E301")
        yield sample(typed(DType.C64, 2), [3], error="E303")


class Bucketize(Op):
    """The bucket of each element of `x`, between ascending boundaries [n]: an i64 from 0 to n.

    Bucket `i` ends at boundary `i`, which belongs to it; with `right` it belongs to the next one.
    """

    presumes = "the boundaries are sorted"
    right: bool = False

    def infer(self, x: TensorType, boundaries: TensorType) -> TensorType:
        checks.ranked("the boundaries of `bucketize`", boundaries, 1, "[n]")
        checks.real("`bucketize`", x, boundaries)
        return x.with_dtype(DType.I64)

    def expand(self, x: Value, boundaries: Value) -> Value:
        flat = apply(Reshape((product(x.shape),)), x)
        return apply(Reshape(x.shape), apply(Searchsorted(self.right), boundaries, flat))

    gradient = without_gradient

    relate = opaque

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for right in (False, True):
            yield sample(np.array([[0.5, 1.0], [3.0, np.nan]]), np.array([0.0, 1.0, 2.0]), right=right)
        yield sample(np.array(2), np.array([1, 2, 2, 5]))
        yield sample([2, 3], np.zeros(0))
        yield sample([0, 3], np.ones(2))
        yield sample([2], [2, 2], error="E304")


def _same(dtype: DType) -> DType:
    return dtype
