"""Functions of static values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from architrave.dsl.elaborate.builtins.registry import builtin
from architrave.dsl.elaborate.conversions import listed, to_float, to_int, to_list, to_number, to_range
from architrave.dsl.elaborate.core import Frame, call, calls
from architrave.dsl.elaborate.kinds import is_list, is_tuple
from architrave.dsl.elaborate.values import AllBut, describe
from architrave.ir.dims import Dim
from architrave.ir.graph import Value
from architrave.ir.source import Span, error


@builtin("int")
def _int(frame: Frame, span: Span, value: Any) -> Any:
    """Towards zero, as in Python."""
    if isinstance(value, Dim):
        return value
    if not isinstance(value, int | float):
        raise error(
            "E227",
            f"`int` takes a number, not {describe(value)}",
            span,
            hint="`cast(x, i64)` converts a tensor" if isinstance(value, Value) else None,
        )
    if not math.isfinite(value):
        raise error("E234", f"{value} is not an integer", span)
    return int(value)


@builtin("float")
def _float(frame: Frame, span: Span, value: Any) -> float:
    return to_float(to_number(value, span, "what `float` takes"), span, "what `float` takes")


@builtin("bool")
def _bool(frame: Frame, span: Span, value: Any) -> bool:
    if not isinstance(value, int | float):
        raise error("E227", f"`bool` takes a number, not {describe(value)}", span)
    return bool(value)


@builtin("str")
def _str(frame: Frame, span: Span, value: Any) -> str:
    if isinstance(value, str | int | float | Dim):
        return str(value)
    raise error("E227", f"`str` takes a number, not {describe(value)}", span)


@builtin("len")
def _len(frame: Frame, span: Span, items: Any) -> Any:
    if isinstance(items, Value):
        if items.rank == 0:
            raise error("E227", "`len` of a scalar tensor", span)
        return items.shape[0]
    if isinstance(items, str) or is_list(items):
        return len(items)
    raise error("E227", f"`len` takes a list, not {describe(items)}", span)


@builtin("range")
def _range(frame: Frame, span: Span, *bounds: Any) -> range:
    if not 1 <= len(bounds) <= 3:
        raise error("E221", f"`range` takes one to three arguments, not {len(bounds)}", span)
    numbers = [to_int(b, span, "a bound of `range`") for b in bounds]
    if len(numbers) == 3 and numbers[2] == 0:
        raise error("E234", "the step of `range` is zero", span)
    start, stop = (0, numbers[0]) if len(numbers) == 1 else numbers[:2]
    return to_range(start, stop, numbers[2] if len(numbers) == 3 else 1, span)


@builtin("list")
def _list(frame: Frame, span: Span, items: Any) -> list[Any]:
    return to_list(items, span, "what `list` takes")


@builtin("is_list")
def _is_list(frame: Frame, span: Span, value: Any) -> bool:
    return is_list(value)


@builtin("reversed")
def _reversed(frame: Frame, span: Span, items: Any) -> list[Any]:
    return to_list(items, span, "what `reversed` takes")[::-1]


@builtin("all_but")
def _all_but(frame: Frame, span: Span, axis: Any) -> AllBut:
    return AllBut(tuple(to_int(a, span, "an axis") for a in listed(axis, span)))


@dataclass(frozen=True, eq=False, slots=True)
class Chain:
    """`sequential([a, b, c])`: stages applied one after the other."""

    stages: tuple[Any, ...]


@builtin("sequential", makes_stage=True)
def _sequential(frame: Frame, span: Span, stages: Any) -> Chain:
    return Chain(tuple(to_list(stages, span, "what `sequential` takes")))


@calls(Chain)
def _call_chain(chain: Chain, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    value: Any = tuple(args) if len(args) != 1 else args[0]
    for stage in chain.stages:
        value = call(stage, value if is_tuple(value) else (value,), {}, span, frame)
    return value
