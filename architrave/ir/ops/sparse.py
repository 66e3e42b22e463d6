"""Weights of which only some blocks are stored: contractions with them, and N:M weights in bytes.

A weight [O, I] is cut into blocks [P, Q]; a block that is not stored is 0. `values` [n, P, Q] are the stored blocks,
row after row of blocks, `columns` [n] says in which column of blocks each lies, and those of row r are `starts[r]` up
to `starts[r + 1]`: `starts` [O / P + 1]. That is the BSR format; `values` [n] are blocks of one number, the CSR format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.dims import Size, divide, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, opaque, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.index import SegmentSum
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.logic import Cast, Equal
from architrave.ir.ops.lookup import Searchsorted
from architrave.ir.ops.packing import WIDTHS, Unpack
from architrave.ir.ops.shape import Reshape, Transpose, Unsqueeze
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, promote


class _Sparse(Op, register=False):
    presumes = "starts that ascend from 0 to the number of blocks, and columns that differ within a row"


class SparseToDense(_Sparse):
    """The weight [O, width] with blocks `values` [n] or [n, P, Q], `columns` i32 [n] and `starts` i32 [O / P + 1]."""

    width: Size

    relate = opaque

    def infer(self, values: TensorType, columns: TensorType, starts: TensorType) -> TensorType:
        checks.numeric(f"`{self.name}`", values)
        return values.with_shape((_outputs(self.name, self.width, values, columns, starts), self.width))

    def expand(self, values: Value, columns: Value, starts: Value) -> Value:
        (count, *block), rows = values.shape, starts.shape[0] - 1
        high, wide = block or (1, 1)
        across = divide(self.width, wide)
        assert across is not None  # `infer` has seen to it
        upper = build.slice(starts, [1], [rows + 1], [1])
        row = apply(Searchsorted(right=True), upper, apply(Arange(count, DType.I32)))
        place = apply(Cast(DType.I32), row) * across + columns
        blocks = apply(SegmentSum(rows * across), apply(Reshape((count, high, wide)), values), place)
        grid = apply(Reshape((rows, across, high, wide)), blocks)
        return apply(Reshape((rows * high, self.width)), apply(Transpose((0, 2, 1, 3)), grid))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for weight in _weights():
            yield sample(*weight[:3], width=weight[3])
        yield sample([3], typed(DType.I32, 3), typed(DType.I64, 2), width=4, error="E303")
        yield sample([3], typed(DType.I32, 2), typed(DType.I32, 2), width=4, error="E305")
        yield sample([3, 2, 2], typed(DType.I32, 3), typed(DType.I32, 2), width=5, error="E307")
        yield sample([3, 2], typed(DType.I32, 3), typed(DType.I32, 2), width=4, error="E304")
        yield sample([3], typed(DType.I32, 3), typed(DType.I32, 0), width=4, error="E307")


class LinearSparse(_Sparse):
    """`linear(x, weight)`: x [..., I] -> [..., O], with a weight of which blocks are stored, as by `sparse_to_dense`.

    Where backends multiply blocks alone, they sum in another order.
    """

    def infer(self, x: TensorType, values: TensorType, columns: TensorType, starts: TensorType) -> TensorType:
        checks.at_least(f"the operand of `{self.name}`", x, 1)
        out = _outputs(self.name, x.shape[-1], values, columns, starts)
        _floats(self.name, x, values)
        return TensorType(promote(x.dtype, values.dtype), (*x.shape[:-1], out))

    def expand(self, x: Value, values: Value, columns: Value, starts: Value) -> Value:
        return apply(Linear(), x, apply(SparseToDense(x.shape[-1]), values, columns, starts))

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return product(operands[0].shape[:-1]) * operands[1].size

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for weight in _weights():
            yield sample([2, 3, weight[3]], *weight[:3])
        stored = _weight(6, 8)[:3]
        for lead in ((), (1,), (33,), (0,)):
            yield sample([*lead, 8], *stored)
        yield sample([2, 5], [3, 2, 2], typed(DType.I32, 3), typed(DType.I32, 2), error="E307")
        yield sample(typed(DType.I32, 2, 4), [3], typed(DType.I32, 3), typed(DType.I32, 2), error="E303")
        yield sample([], [3], typed(DType.I32, 3), typed(DType.I32, 2), error="E304")


class PointwiseSparse(_Sparse):
    """`conv` with a kernel of size 1: x [N, C, *S] -> [N, O, *S], with a weight [O, C] of which blocks are stored.

    Elsen, Dukhan, Gale and Simonyan, "Fast Sparse ConvNets" (2020): the weight times the pixels of all channels, which
    lie one behind another.
    """

    def infer(self, x: TensorType, values: TensorType, columns: TensorType, starts: TensorType) -> TensorType:
        checks.at_least(f"the operand of `{self.name}`", x, 2)
        out = _outputs(self.name, x.shape[1], values, columns, starts)
        _floats(self.name, x, values)
        return TensorType(promote(x.dtype, values.dtype), (x.shape[0], out, *x.shape[2:]))

    def expand(self, x: Value, values: Value, columns: Value, starts: Value) -> Value:
        weight = apply(SparseToDense(x.shape[1]), values, columns, starts)
        return apply(Conv(), x, apply(Reshape((*weight.shape, *(1,) * (x.rank - 2))), weight))

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        x, values, *_ = operands
        return x.shape[0] * product(x.shape[2:]) * values.size

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for weight in _weights():
            yield sample([2, weight[3], 3, 5], *weight[:3])
        stored = _weight(6, 8)[:3]
        for batch, *pixels in ((1, 7), (3,), (1, 2, 3, 2), (0, 4)):
            yield sample([batch, 8, *pixels], *stored)
        yield sample([2, 5, 3], [3, 2, 2], typed(DType.I32, 3), typed(DType.I32, 2), error="E307")
        yield sample([2], [3], typed(DType.I32, 3), typed(DType.I32, 2), error="E304")


class UnpackNm(Op):
    """A weight [..., I] of which at most n of each m neighbours are not 0: `values` [..., I * n / m], and their places.

    A place, from 0 to m - 1, takes 1, 2 or 4 bits, the fewest that hold m of them, and lies in bytes u8 [..., b] as
    `pack` leaves it; what is left of the last byte counts for nothing. A value whose place is m or more is left out.
    """

    n: int = 2
    m: int = 4

    def infer(self, values: TensorType, places: TensorType) -> TensorType:
        if not (1 <= self.n <= self.m and 2 <= self.m <= 16):
            raise error("E307", f"`{self.name}` keeps n of m, which is from 2 to 16, not {self.n} of {self.m}")
        checks.at_least(f"the values of `{self.name}`", values, 1)
        checks.numeric(f"the values of `{self.name}`", values)
        if places.dtype is not DType.U8:
            raise error("E303", f"the places of `{self.name}` lie in bytes, u8, not in {places}")
        *lead, count = values.shape
        groups = divide(count, self.n)
        if groups is None:
            raise error("E307", f"{count} values are not {self.n} of each {self.m} neighbours")
        wanted = (*lead, (count * place_bits(self.m) + 7) // 8)
        if places.shape != wanted:
            raise error("E305", f"the places of {values} are bytes {TensorType(DType.U8, wanted)}, not {places}")
        return values.with_shape((*lead, groups * self.m))

    def expand(self, values: Value, places: Value) -> Value:
        *lead, count = values.shape
        groups = divide(count, self.n)
        assert groups is not None  # `infer` has seen to it
        found = apply(Unpack(place_bits(self.m), signed=False), places)
        if found.shape[-1] != count:
            found = build.slice(found, [0] * found.rank, [*lead, count], [1] * found.rank)
        index, stored = (apply(Unsqueeze((-1,)), apply(Reshape((*lead, groups, self.n)), v)) for v in (found, values))
        there = apply(Equal(), apply(Cast(DType.I32), index), apply(Arange(self.m, DType.I32)))
        dense = build.sum(build.where(there, stored, 0), axes=(-2,))
        return apply(Reshape((*lead, groups * self.m)), apply(Cast(values.dtype), dense))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        rng = np.random.default_rng(0)
        yield sample([3, 8], _places(rng, 3, 8, 2, 4))
        yield sample([3, 6], _places(rng, 3, 6, 2, 4))
        yield sample([2, 5], _places(rng, 2, 5, 1, 16), n=1, m=16)
        yield sample([2, 12], _places(rng, 2, 12, 4, 8), n=4, m=8)
        yield sample([2, 9], _places(rng, 2, 9, 1, 2), n=1, m=2)
        yield sample([4, 6], rng.integers(0, 256, (4, 2)).astype(np.uint8), n=2, m=3)
        yield sample([0, 4], typed(DType.U8, 0, 1))
        yield sample([3, 0], typed(DType.U8, 3, 0))
        yield sample([3, 8], typed(DType.U8, 3, 3), error="E305")
        yield sample([3, 7], typed(DType.U8, 3, 2), error="E307")
        yield sample([3, 8], typed(DType.I8, 3, 2), error="E303")
        yield sample([3, 8], typed(DType.U8, 3, 2), n=5, error="E307")
        yield sample([], typed(DType.U8), error="E304")


def place_bits(m: int) -> int:
    """How many bits of a byte hold one of m places."""
    return next(bits for bits in WIDTHS if m <= 2**bits)


def _outputs(name: str, width: Size, values: TensorType, columns: TensorType, starts: TensorType) -> Size:
    """The rows of a sparse weight. Raises E303, E304, E305, E307 where the three do not fit one another, or `width`."""
    for what, type in (("columns", columns), ("starts", starts)):
        checks.ranked(f"the {what} of `{name}`", type, 1, "[n]")
        if type.dtype is not DType.I32:
            raise error("E303", f"the {what} of `{name}` must be i32, not {type}")
    if values.rank not in (1, 3):
        raise error("E304", f"the values of `{name}` are [n], or blocks [n, rows, columns], not {values}")
    if starts.shape[0] == 0:
        raise error("E307", f"the starts of `{name}` are one more than there are rows of blocks, so never none")
    checks.same(f"the blocks of `{name}`", values.shape[0], f"{values}", columns.shape[0], f"the columns {columns}")
    high, wide = values.shape[1:] or (1, 1)
    if divide(width, wide) is None:
        raise error("E307", f"blocks of {wide} columns do not divide the {width} inputs of `{name}`")
    return (starts.shape[0] - 1) * high


def _floats(name: str, x: TensorType, values: TensorType) -> None:
    for what, type in (("operand", x), ("values", values)):
        if not type.dtype.is_float:
            raise error("E303", f"the {what} of `{name}` must hold floats, not {type}")


def _weights() -> Iterator[tuple[Any, ...]]:
    """Values, columns, starts and width of weights: with rows of all sizes, and in blocks of several shapes."""
    yield _weight(6, 8)
    yield _weight(8, 6, 4, 1)
    yield _weight(6, 12, 2, 3)
    yield _weight(32, 32, 16, 16)
    yield _weight(3, 4, keep=0.0)
    yield _weight(3, 4, keep=1.0)


def _weight(out: int, width: int, high: int = 1, wide: int = 1, keep: float = 0.4) -> tuple[Any, ...]:
    rng: Any = np.random.default_rng(out + width + high)
    stored: Array = rng.random((out // high, width // wide)) < keep
    stored[1:2] = False  # a row of zeros
    columns = np.nonzero(stored)[1].astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(stored.sum(1))]).astype(np.int32)
    shape = (len(columns),) if high == wide == 1 else (len(columns), high, wide)
    return rng.standard_normal(shape), columns, starts, width


def _places(rng: Any, rows: int, count: int, n: int, m: int) -> Array:
    """Bytes of n ascending places of m for each group, in a number of rows."""
    bits = place_bits(m)
    order: Array = rng.random((rows, count // n, m)).argsort(-1)[..., :n]
    digits = np.sort(order, -1).reshape(rows, count)
    filled = np.pad(digits, ((0, 0), (0, -count % (8 // bits)))).reshape(rows, -1, 8 // bits)
    packed: Array = (filled << np.arange(0, 8, bits)).sum(-1)
    return packed.astype(np.uint8)
