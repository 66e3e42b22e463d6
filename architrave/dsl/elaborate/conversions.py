"""Static values as the kind that is wanted: sizes, integers, lists, truth values. Each raises where it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from architrave.dsl.elaborate.kinds import is_list, is_number
from architrave.dsl.elaborate.limits import extent
from architrave.dsl.elaborate.values import SIZE_LIMIT, describe
from architrave.ir.dims import Dim, Size
from architrave.ir.graph import Value
from architrave.ir.source import Span, error


def to_size(value: Any, span: Span, what: str = "a size") -> Size:
    """`value` as a size. Division is exact: a float that is a whole number counts. Raises E230, E454."""
    if isinstance(value, Dim):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounded(value, span, what)
    hint = "division of dimensions is exact; `//` rounds down" if isinstance(value, float) else None
    raise error("E230", f"{what} must be an integer, not {describe(value)}", span, hint=hint)


def _bounded(value: int, span: Span, what: str) -> int:
    if abs(value) >= SIZE_LIMIT:
        raise error("E454", f"{what} has {value.bit_length()} bits; an integer of a network has at most 63", span)
    return value


def to_range(start: int, stop: int, step: int, span: Span) -> range:
    """The integers from `start` up to, not including, `stop`. Raises E454 for more than can be counted."""
    _bounded(stop - start, span, "the length of a range")
    return range(start, stop, step)


def to_int(value: Any, span: Span, what: str) -> int:
    """`value` as an integer that is known now. Raises E230, and E231 for a symbolic size."""
    size = to_size(value, span, what)
    if isinstance(size, int):
        return size
    what = f"{what} must be known while building, but {size} is known only when the network runs"
    raise error("E231", what, span, hint="give the model's input that dimension as a number")


def to_number(value: Any, span: Span, what: str) -> float:
    """`value` as a number that is known now. Raises E230."""
    if not is_number(value):
        raise error("E230", f"{what} must be a number, not {describe(value)}", span)
    return _bounded(value, span, what) if isinstance(value, int) else value


def to_float(value: float, span: Span, what: str) -> float:
    """A number as a float. Raises E454 for an integer that none can hold."""
    try:
        return float(value)
    except OverflowError:
        raise error("E454", f"{what} is too large for a float", span) from None


def to_text(value: Any, span: Span, what: str) -> str:
    """`value` as a string. Raises E230."""
    if isinstance(value, str):
        return value
    raise error("E230", f"{what} must be a string, not {describe(value)}", span)


def to_flag(value: Any, span: Span, what: str) -> bool:
    """`value` as a truth value. Raises E230."""
    if isinstance(value, bool):
        return value
    raise error("E230", f"{what} must be true or false, not {describe(value)}", span)


def to_condition(value: Any, span: Span) -> bool:
    """`value` as a condition. Raises E232."""
    if isinstance(value, bool):
        return value
    hint = "`where(condition, a, b)` chooses between tensors when the network runs"
    shown = hint if isinstance(value, Value) else None
    raise error("E232", f"a condition must be true or false, not {describe(value)}", span, hint=shown)


def to_list(value: Any, span: Span, what: str) -> list[Any]:
    """The elements of a list, tuple or range. Raises E230, and E453 for a list that is too long."""
    if is_list(value):
        return short_enough(value, span)
    raise error("E230", f"{what} must be a list, not {describe(value)}", span)


def listed(value: Any, span: Span) -> list[Any]:
    """The elements of a list, or the value alone: `axis = 1` means `axis = [1]`."""
    return short_enough(value, span) if is_list(value) else [value]


def short_enough(items: Sequence[Any], span: Span) -> list[Any]:
    """The list, if it is not too long. Raises E453."""
    extent(items, span)
    return list(items)
