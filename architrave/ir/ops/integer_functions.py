"""Functions of small integers, in integers of 32 bits alone: tables, and the softmax.

Nothing here needs 64 bits or a float, so that every backend gives the same bytes. What keeps sums inside of 32 bits is
checked from the shapes (E900), and said in docs/numerics.md, "Integer functions".
"""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir.arrays import np
from architrave.ir.dims import Size
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.bits import BitwiseAnd
from architrave.ir.ops.index import Take
from architrave.ir.ops.logic import Cast, Where
from architrave.ir.ops.reduce import Max, Sum
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, broadcast, normalize_axis

ENTRIES = 256
"""A table has an entry for each integer of 8 bits."""

LEAST = -128
"""No integer of 8 bits, signed or not, is less."""


class Lookup(Op):
    """What a table [256] holds for each integer of 8 bits: its first entry is for the least, -128 of i8 and 0 of u8."""

    def infer(self, x: TensorType, table: TensorType) -> TensorType:
        small("what `lookup` reads", x)
        checks.ranked("the table of `lookup`", table, 1, "[256]")
        checks.same("the entries of `lookup`", table.shape[0], f"the table {table}", ENTRIES, "what 8 bits can be")
        return x.with_dtype(table.dtype)

    def expand(self, x: Value, table: Value) -> Value:
        return apply(Take(0), table, widened(x) - LEAST if x.dtype is DType.I8 else widened(x))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        signed, unsigned = np.arange(-128, 128).astype(np.int8), np.arange(256).astype(np.uint8)
        yield sample(signed, (np.arange(256) * 7 % 256).astype(np.uint8))
        yield sample(unsigned, signed)
        yield sample(signed.reshape(2, 128), (np.arange(256) ** 3).astype(np.int32))
        yield sample(unsigned, [256])
        yield sample(typed(DType.I8, 0, 3), typed(DType.I16, 256))
        yield sample(typed(DType.I32, 3), typed(DType.I8, 256), error="E303")
        yield sample(typed(DType.I8, 3), typed(DType.I8, 255), error="E305")
        yield sample(typed(DType.I8, 3), typed(DType.I8, 256, 1), error="E304")


class SoftmaxInteger(Op):
    """`exp(x) / sum(exp(x))` along an axis of 8-bit integers, in steps of `1 / levels`, rounded half to even.

    Entry `d` of the table, an i32 [256], is the exponential of what lies `d` below the largest element: an integer
    from 0 to `2 ** bits`. Where `mask` is false there is no element; without any the result is 0. It is a u8 up to 255
    levels, and an i16 up to 32,767. Raises E900 beyond `2 ** (31 - bits) - 1` elements, whose sum may exceed 32 bits.
    """

    axis: int = -1
    bits: int = 16
    levels: int = 255

    def infer(self, x: TensorType, table: TensorType, mask: TensorType | None = None) -> TensorType:
        small("what `softmax_integer` reads", x)
        if table != TensorType(DType.I32, (ENTRIES,)):
            raise error("E305", f"the table of `softmax_integer` must be i32[{ENTRIES}], not {table}")
        axis = normalize_axis(self.axis, x.rank)
        checks.not_empty("`softmax_integer`", x, (axis,))
        if not (1 <= self.levels < 2**15 and self.bits >= 1 and self.levels << self.bits < 2**31):
            what = (
                f"`softmax_integer` with {self.levels} levels of {self.bits} bits: their product must fit into 31 bits"
            )
            raise error("E307", what, hint="there are 1 to 32767 levels")
        fits("the axis of `softmax_integer`", x.shape[axis], 2 ** (31 - self.bits) - 1)
        if mask is not None:
            checks.boolean("the mask of `softmax_integer`", mask)
            if broadcast(x.shape, mask.shape) != x.shape:
                raise error(
                    "E301", f"the mask of `softmax_integer` must broadcast to {x}, and {mask} would make it larger"
                )
        return x.with_dtype(DType.U8 if self.levels < ENTRIES else DType.I16)

    def expand(self, x: Value, table: Value, mask: Value | None = None) -> Value:
        wide = widened(x)
        seen = wide if mask is None else apply(Where(), mask, wide, LEAST)
        below = apply(Max((self.axis,), keep=True), seen) - wide
        powers = apply(Take(0), table, below)
        if mask is not None:
            powers = apply(Where(), mask, powers, 0)
        shares = divided(powers * self.levels, total(powers, (self.axis,)))
        return apply(Cast(DType.U8 if self.levels < ENTRIES else DType.I16), shares)

    gradient = without_gradient

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        table = np.rint(np.exp(-np.arange(256) / 16) * 2**16).astype(np.int32)
        ramp = (np.arange(24) * 11 % 256 - 128).astype(np.int8).reshape(4, 6)
        yield sample(ramp, table)
        yield sample(ramp, table, axis=0)
        yield sample(ramp.view(np.uint8), table, levels=2**15 - 1)
        yield sample(ramp, table // 2**8, bits=8, levels=15)
        yield sample(np.array([[-128] * 5, [127] * 5, [-128, 127, -128, -128, 0]], np.int8), table)
        yield sample(np.full((1, 8191), 127, np.int8), table * 4, bits=18)
        yield sample(ramp, table, np.array([[True] * 6, [False] * 6, [True, False] * 3, [False] * 5 + [True]]))
        yield sample(ramp, table, np.array([True, False, True, True, False, True]))
        yield sample(typed(DType.I8, 0, 3), typed(DType.I32, 256))
        yield sample(np.array([[3], [-4]], np.int8), table)
        yield sample(typed(DType.I8, 1, 4096), typed(DType.I32, 256), bits=19, error="E900")
        yield sample(typed(DType.I8, 1, 4), typed(DType.I32, 256), bits=24, error="E307")
        yield sample(typed(DType.I8, 1, 4), typed(DType.I32, 256), bits=8, levels=2**15, error="E307")
        yield sample(typed(DType.I8, 1, 4), typed(DType.I32, 255), error="E305")
        yield sample(typed(DType.I8, 1, 4), typed(DType.I32, 256), typed(DType.BOOL, 2, 4), error="E301")
        yield sample(typed(DType.I8, 1, 4), typed(DType.I32, 256), typed(DType.I8, 4), error="E303")
        yield sample(typed(DType.I8, 4, 0), typed(DType.I32, 256), error="E310")
        yield sample(typed(DType.I8, 4), typed(DType.I32, 256), axis=1, error="E302")
        yield sample([1, 4], typed(DType.I32, 256), error="E303")


def small(what: str, type: TensorType) -> None:
    """Raises E303 where `type` does not hold integers of 8 bits."""
    if type.dtype not in (DType.I8, DType.U8):
        raise error("E303", f"{what} must be of 8 bits, an i8 or a u8, not {type}", hint="`requantize` it first")


def exactly(what: str, type: TensorType, dtype: DType, *shape: Size) -> None:
    """Raises E305 where `type` is not of this dtype and shape."""
    wanted = TensorType(dtype, shape)
    if type != wanted:
        raise error("E305", f"{what} must be {wanted}, not {type}")


def fits(what: str, size: Size, most: int) -> None:
    """Raises E900 where a sum over `size` elements is not sure to stay inside of 32 bits."""
    if isinstance(size, int) and size <= most:
        return
    hint = None if isinstance(size, int) else f"give `{size}` a number: what it will be is not known here"
    raise error("E900", f"{what} may hold {most} elements, so that sums fit into 32 bits, and it has {size}", hint=hint)


def widened(x: Value) -> Value:
    """`x` as an i32."""
    return apply(Cast(DType.I32), x)


def divided(a: Value, b: Value) -> Value:
    """`a / b` rounded to the nearest integer, half to even, for `b` above 0; what is 0 over 0 is 0."""
    quotient = a // b
    # Twice the remainder might be too large.
    rest = a - quotient * b
    return quotient + widened(rest - (b - rest) + apply(BitwiseAnd(), quotient, 1) > 0)


def total(x: Value, axes: tuple[int, ...]) -> Value:
    """The sum over `axes`, which stay with size 1; an i32."""
    return widened(apply(Sum(axes, keep=True), x))
