"""How a Python function becomes a function of the language."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from architrave.dsl.elaborate.conversions import to_int, to_list
from architrave.dsl.elaborate.core import Frame, calls
from architrave.dsl.elaborate.values import AllBut, Builtin, describe
from architrave.ir.graph import Value
from architrave.ir.source import Span, error, nearest
from architrave.ir.types import normalize_axis

BUILTINS: dict[str, Any] = {}
"""Every name that is always there."""

Function = Callable[..., Any]


def builtin(*names: str) -> Callable[[Function], Function]:
    """Registers a function under names of the language. Its first two parameters are the frame and the span."""

    def register(function: Function) -> Function:
        for name in names:
            BUILTINS[name] = Builtin(name, function)
        return function

    return register


@cache
def _parameters(function: Function) -> tuple[tuple[str, bool], ...]:
    """The parameters after the frame and the span: their names, and whether they are required."""
    parameters = list(inspect.signature(function).parameters.values())[2:]
    named = (p for p in parameters if p.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD))
    return tuple((p.name, p.default is inspect.Parameter.empty) for p in named)


@cache
def _open_ended(function: Function) -> tuple[bool, bool]:
    """Whether a function takes any number of positional arguments, and any names."""
    kinds = {p.kind for p in inspect.signature(function).parameters.values()}
    return inspect.Parameter.VAR_POSITIONAL in kinds, inspect.Parameter.VAR_KEYWORD in kinds


@calls(Builtin)
def _call(function: Builtin, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    any_position, any_name = _open_ended(function.run)
    parameters = _parameters(function.run)
    if len(args) > len(parameters) and not any_position:
        raise error("E221", f"`{function.name}` takes {len(parameters)} arguments, not {len(args)}", span)
    known = [name for name, _ in parameters]
    for name in kwargs:
        if name in known[: len(args)]:
            raise error("E223", f"`{function.name}` gets `{name}` twice", span)
        if name not in known and not any_name:
            hint = nearest(name, known) or (f"its parameters are {', '.join(known)}" if known else None)
            raise error("E222", f"`{function.name}` has no parameter `{name}`", span, hint=hint)
    for name, required in parameters[len(args) :]:
        if required and name not in kwargs:
            raise error("E224", f"`{function.name}` needs `{name}`", span)
    frame.here(span)
    return function.run(frame, span, *args, **kwargs)


def tensor(value: Any, span: Span, name: str) -> Value:
    """`value` as a tensor. Raises E227."""
    if isinstance(value, Value):
        return value
    raise error("E227", f"`{name}` takes a tensor, not {describe(value)}", span)


def axis_list(axis: Any, x: Value, span: Span) -> tuple[int, ...] | None:
    """`axis = none | int | list | all_but(...)` as non-negative axes; None for all of them."""
    if axis is None:
        return None
    if isinstance(axis, AllBut):
        kept = {normalize_axis(a, x.rank) for a in axis.axes}
        return tuple(a for a in range(x.rank) if a not in kept)
    axes = axis if isinstance(axis, list | tuple | range) else [axis]
    found = tuple(normalize_axis(to_int(a, span, "an axis"), x.rank) for a in axes)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if len(set(found)) != len(found):
        raise error("E303", f"an axis is named twice in {list(axes)}", span)  # pyright: ignore[reportUnknownArgumentType]
    return found


def one_axis(axis: Any, x: Value, span: Span) -> int:
    """An axis as a non-negative integer."""
    return normalize_axis(to_int(axis, span, "an axis"), x.rank)


def tensor_list(items: Any, span: Span, name: str) -> list[Value]:
    """A list of tensors, not empty."""
    found = [tensor(item, span, name) for item in to_list(items, span, f"what `{name}` joins")]
    if not found:
        raise error("E227", f"`{name}` joins at least one tensor", span)
    return found
