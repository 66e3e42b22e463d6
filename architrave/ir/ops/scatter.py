"""Writing at places that an index names. Where several sources meet, what remains does not depend on the backend."""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.dims import product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, opaque, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.index import SegmentMax, check_index, within
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, normalize_axis, promote


class _Scattering(Op, register=False):
    """x [*S], index and source of one shape, no longer than x along the other axes -> [*S]."""

    axis: int

    def infer(self, x: TensorType, index: TensorType, source: TensorType) -> TensorType:
        check_index(self.name, x, index, self.axis)
        if index.shape != source.shape:
            raise error("E305", f"the index and the source of `{self.name}` have one shape, not {index} and {source}")
        return x.with_dtype(promote(x.dtype, source.dtype))

    relate = opaque

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 4], typed(DType.I64, 2, 3), [2, 3], axis=1)
        yield sample([4, 3], typed(DType.I32, 6, 2), [6, 2], axis=0)
        yield sample([2, 4, 3], typed(DType.I64, 1, 6, 2), [1, 6, 2], axis=-2)
        yield sample(np.array([3.0, 1.0, 9.0]), np.array([-1, 0, 0, 3, 2]), np.array([1.0, 4.0, 2.0, 8.0, 9.0]), axis=0)
        yield sample(typed(DType.I64, 4), typed(DType.U8, 6), typed(DType.I32, 6), axis=0)
        yield sample([2, 4], typed(DType.I64, 2, 0), [2, 0], axis=1)
        yield sample([2, 0], typed(DType.I64, 2, 1), [2, 1], axis=1)
        yield sample([1, 1], typed(DType.I64, 1, 1), [1, 1], axis=0)
        yield sample([2, 4], typed(DType.I64, 2, 3), [2, 2], axis=1, error="E305")
        yield sample([2, 4], typed(DType.I64, 3, 3), [3, 3], axis=1, error="E305")
        yield sample([2, 4], [2, 3], [2, 3], axis=1, error="E303")
        yield sample([], typed(DType.I64), [], axis=0, error="E302")


class Scatter(_Scattering):
    """`x` with `source[i, j, k]` in place of `[i, index[i, j, k], k]` for axis 1; of several sources the last remains.

    An index that is out of range writes nothing.
    """

    def expand(self, x: Value, index: Value, source: Value) -> Value:
        flat, places = _meeting(x, index, source, self.axis)
        last = apply(SegmentMax(product(x.shape)), apply(Arange(places.shape[0])), places)
        return apply(Reshape(x.shape), build.take(flat, last, axis=0))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(typed(DType.BOOL, 4), typed(DType.I64, 3), typed(DType.BOOL, 3), axis=0)
        yield sample(np.array([1 + 2j, 3.0]), np.array([1]), np.array([2 - 1j]), axis=0)


class ScatterMax(_Scattering):
    """`x` with the largest of itself and of each `source[i, j, k]` at `[i, index[i, j, k], k]` for axis 1.

    An index that is out of range writes nothing. NaN wins; the gradient is shared among equals.
    """

    def infer(self, x: TensorType, index: TensorType, source: TensorType) -> TensorType:
        checks.real("`scatter_max`", x, source)
        checks.numeric("`scatter_max`", x, source)
        return super().infer(x, index, source)

    def expand(self, x: Value, index: Value, source: Value) -> Value:
        flat, places = _meeting(x, index, source, self.axis)
        return apply(Reshape(x.shape), apply(SegmentMax(product(x.shape)), flat, places))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([np.nan, 1.0, -np.inf]), np.array([0, 1, 1]), np.array([1.0, np.nan, 2.0]), axis=0)
        yield sample(typed(DType.BOOL, 4), typed(DType.I64, 3), typed(DType.BOOL, 3), axis=0, error="E303")


def _meeting(x: Value, index: Value, source: Value, axis: int) -> tuple[Value, Value]:
    """What competes for the places of `x`, and for which: the elements of `x`, and after them those of the source."""
    size, count = product(x.shape), product(index.shape)
    named = apply(Reshape((count,)), _flat_places(x, index, axis))
    flat = build.concat(apply(Reshape((size,)), x), apply(Reshape((count,)), source), axis=0)
    return flat, build.concat(apply(Arange(size)), named, axis=0)


def _flat_places(x: Value, index: Value, axis: int) -> Value:
    """For each place of the index the one that it names in `x`, row by row; -1 where it is out of range."""
    axis = normalize_axis(axis, x.rank)
    index = apply(Cast(DType.I64), index)
    places = None
    for i, size in enumerate(index.shape):
        own = index if i == axis else apply(Reshape((size, *(1,) * (x.rank - i - 1))), apply(Arange(size)))
        step = product(x.shape[i + 1 :])
        own = own * step if step != 1 else own
        places = own if places is None else places + own
    return build.where(within(index, x.shape[axis]), places, -1)  # type: ignore[no-any-return]
