"""Tensor types: a dtype and a shape."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from architrave.ir.dims import Size, product
from architrave.ir.source import error


class DType(enum.Enum):
    """An element type. `FLOAT`, written without a dtype, is the precision that the run chooses.

    `COMPLEX` follows it: its parts are of that precision, of single precision in a run in half precision.
    """

    BOOL = "bool"
    U8 = "u8"
    I8 = "i8"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    I64 = "i64"
    BF16 = "bf16"
    F16 = "f16"
    F32 = "f32"
    FLOAT = "float"
    F64 = "f64"
    C64 = "c64"
    COMPLEX = "complex"
    C128 = "c128"

    @property
    def is_float(self) -> bool:
        return self in _FLOATS

    @property
    def is_integer(self) -> bool:
        return self in _INTEGERS

    @property
    def is_complex(self) -> bool:
        return self in _PARTS

    @property
    def is_bool(self) -> bool:
        return self is DType.BOOL

    def __str__(self) -> str:
        return self.value

    def __repr__(self) -> str:
        return self.value


_FLOATS = frozenset({DType.BF16, DType.F16, DType.F32, DType.FLOAT, DType.F64})
_INTEGERS = frozenset({DType.U8, DType.I8, DType.I16, DType.U32, DType.I32, DType.I64})
_PARTS = {DType.C64: DType.F32, DType.COMPLEX: DType.FLOAT, DType.C128: DType.F64}
# For each kind, the dtypes from narrow to wide. The chosen precision wins over every float but f64,
# so that an `f32` image may enter a network that runs in float64 or bfloat16.
_ORDER = list(DType)


def promote(a: DType, b: DType) -> DType:
    """The dtype of `a + b`, the same on every backend (docs/numerics.md).

    bool < integers < floats < complex. Of two integers the wider, of `u8`/`u32` with a signed type the
    signed type that holds both; of two floats the wider, `bf16` with `f16` gives `f32`.
    """
    if a is b:
        return a
    low, high = sorted((a, b), key=_ORDER.index)
    match low, high:
        case (DType.U8, DType.I8):
            return DType.I16
        case (DType.U32, DType.I32):
            return DType.I64
        case (DType.I8 | DType.I16, DType.U32):
            return DType.I64
        case (DType.BF16, DType.F16):
            return DType.F32
        case (DType.F64, DType.C64 | DType.COMPLEX):
            return DType.C128
        case (DType.FLOAT, DType.C64):
            return DType.COMPLEX
        case _:
            return high


def part_of(dtype: DType) -> DType:
    """The float that the real parts of complex numbers are; any other dtype itself."""
    return _PARTS.get(dtype, dtype)


def complex_of(dtype: DType) -> DType:
    """The complex dtype whose parts are at least as wide as a float: c64 for half precision."""
    return next((whole for whole, part in _PARTS.items() if part is dtype), DType.C64)


@dataclass(frozen=True)
class TensorType:
    """The type of a tensor: `f32[N, 3, H, W]`; `[N, C]` where the dtype is the chosen precision."""

    dtype: DType
    shape: tuple[Size, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return product(self.shape)

    @cached_property
    def _hash(self) -> int:
        return hash((self.dtype, self.shape))

    def __hash__(self) -> int:
        return self._hash

    def with_shape(self, shape: Sequence[Size]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    @cached_property
    def _text(self) -> str:
        prefix = "" if self.dtype is DType.FLOAT else str(self.dtype)
        return f"{prefix}[{', '.join(map(str, self.shape))}]"

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def broadcast(*shapes: tuple[Size, ...]) -> tuple[Size, ...]:
    """The shape that the given shapes broadcast to, as in NumPy. Raises E301 where they do not."""
    first = shapes[0]
    if all(shape == first for shape in shapes):
        return first
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result: list[Size] = []
    for axis, sizes in enumerate(zip(*padded, strict=True)):
        wide = [s for s in sizes if s != 1]
        if any(s != wide[0] for s in wide):
            raise _no_broadcast(shapes, axis if all(len(s) == rank for s in shapes) else axis - rank, wide)
        result.append(wide[0] if wide else 1)
    return tuple(result)


def shape_text(shape: Sequence[Size]) -> str:
    """A shape as it is written in a `.arch` file."""
    return f"[{', '.join(map(str, shape))}]"


def normalize_axis(axis: int, rank: int) -> int:
    """An axis counted from the front. Raises E302 where there is no such axis."""
    if -rank <= axis < rank:
        return axis % rank
    raise error(
        "E302",
        f"there is no axis {axis} in a tensor of rank {rank}",
        hint=f"an axis is one of {-rank}..{rank - 1}" if rank else None,
    )


def _no_broadcast(shapes: Sequence[tuple[Size, ...]], axis: int, wide: Sequence[Size]) -> Exception:
    other = next(s for s in wide if s != wide[0])
    shown = " and ".join(dict.fromkeys(shape_text(s) for s in shapes))
    return error(
        "E301", f"the shapes {shown} do not fit together: axis {axis} is {wide[0]} in one and {other} in the other"
    )
