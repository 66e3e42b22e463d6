"""What several operators check of their operands, and the errors they raise.

E301 shapes do not broadcast; E302 no such axis; E303 a dtype does not suit; E304 a rank does not suit; E305 sizes
disagree; E306 a reshape does not work out; E307 an attribute is out of range; E308 a malformed einsum equation;
E309 axes are repeated or missing; E310 nothing to choose from.
"""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.dims import Size
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, normalize_axis


def floating(dtype: DType) -> DType:
    """The dtype of a function of real numbers: integers and truth values become floats."""
    return dtype if dtype.is_float or dtype.is_complex else DType.FLOAT


def total(dtype: DType) -> DType:
    """The dtype of a sum: integers and truth values are counted in i64."""
    return dtype if dtype.is_float or dtype.is_complex else DType.I64


def numeric(what: str, *types: TensorType) -> None:
    """Raises E303 where all of `types` are truth values."""
    if types and all(t.dtype.is_bool for t in types):
        raise error("E303", f"{what} is not defined for truth values", hint="cast them first: `cast(x, i64)`")


def real(what: str, *types: TensorType) -> None:
    """Raises E303 for complex numbers."""
    bad = next((t for t in types if t.dtype.is_complex), None)
    if bad is not None:
        raise error("E303", f"{what} is not defined for complex numbers such as {bad}")


def integer(what: str, type: TensorType) -> None:
    """Raises E303 where `type` does not hold integers."""
    if not type.dtype.is_integer:
        raise error("E303", f"{what} must hold integers, not {type}", hint="cast it first: `cast(x, i64)`")


def boolean(what: str, type: TensorType) -> None:
    """Raises E303 where `type` does not hold truth values."""
    if not type.dtype.is_bool:
        raise error("E303", f"{what} must hold truth values, not {type}", hint="compare first: `x != 0`")


def ranked(what: str, type: TensorType, rank: int, layout: str) -> None:
    """Raises E304 where `type` is not of `rank`. `layout` names the axes: `[N, C, H, W]`."""
    if type.rank != rank:
        raise error("E304", f"{what} must be {layout}, but {type} has {_axes(type.rank)}")


def at_least(what: str, type: TensorType, rank: int) -> None:
    """Raises E304 where `type` has fewer than `rank` axes."""
    if type.rank < rank:
        raise error("E304", f"{what} needs at least {_axes(rank)}, but {type} has {_axes(type.rank)}")


def same(what: str, a: Size, whose: str, b: Size, other: str, hint: str | None = None) -> None:
    """Raises E305 where two sizes are not known to be equal."""
    if a != b:
        raise error("E305", f"{what} do not fit: {a} in {whose}, {b} in {other}", hint=hint)


def positive(name: str, values: Sequence[Size]) -> None:
    """Raises E307 where a value of an attribute is less than 1."""
    bad = next((v for v in values if isinstance(v, int) and v < 1), None)
    if bad is not None:
        raise error("E307", f"{name} must be at least 1, not {bad}")


def not_negative(name: str, values: Sequence[Size]) -> None:
    """Raises E307 where a value of an attribute is negative."""
    bad = next((v for v in values if isinstance(v, int) and v < 0), None)
    if bad is not None:
        raise error("E307", f"{name} must be at least 0, not {bad}")


def per_axis(name: str, values: Sequence[object], rank: int) -> None:
    """Raises E307 where an attribute does not give one value for each of `rank` axes."""
    if len(values) != rank:
        raise error("E307", f"{name} gives {len(values)} values for {_axes(rank)}")


def axis_set(axes: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front and sorted; all of them for None. Raises E302, E309."""
    if axes is None:
        return tuple(range(rank))
    return tuple(sorted(distinct(axes, rank)))


def distinct(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front, in their order. Raises E302 for one too far, E309 for one named twice."""
    found = tuple(normalize_axis(axis, rank) for axis in axes)
    if len(set(found)) != len(found):
        raise error("E309", f"an axis is named twice in {list(axes)}, for a tensor of rank {rank}")
    return found


def not_empty(what: str, x: TensorType, axes: Sequence[int]) -> None:
    """Raises E310 where an axis that must hold something to choose from is empty."""
    empty = next((axis for axis in axes if x.shape[axis] == 0), None)
    if empty is not None:
        raise error("E310", f"{what} has nothing to choose from: axis {empty} of {x} is empty")


def _axes(rank: int) -> str:
    return "1 axis" if rank == 1 else f"{rank} axes"
