"""How a Python function becomes a function of the language.

Its first two parameters are the frame and the span. One whose next is called `x` works on a tensor: applied to
nothing, `softmax(axis = -1)`, it is a stage that waits for one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from architrave.dsl.elaborate.conversions import listed, to_flag, to_int, to_list, to_number, to_text
from architrave.dsl.elaborate.core import Frame, calls
from architrave.dsl.elaborate.values import AllBut, Builtin, Partial, describe
from architrave.ir.graph import Value
from architrave.ir.source import Span, error, nearest
from architrave.ir.types import normalize_axis

BUILTINS: dict[str, Any] = {}
"""Every name that is always there."""

Function = Callable[..., Any]


def builtin(*names: str, makes_stage: bool = False) -> Callable[[Function], Function]:
    """Registers a function under names of the language. Its first two parameters are the frame and the span."""

    def register(function: Function) -> Function:
        for name in names:
            BUILTINS[name] = Builtin(name, function, makes_stage)
        return function

    return register


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of such a function, after the frame and the span. Its annotation says what it holds."""

    name: str
    required: bool
    default: Any
    convert: Callable[[Any, Span, str], Any] | None

    def converted(self, value: Any, function: str, span: Span) -> Any:
        if self.convert is None or value is self.default:
            return value
        return self.convert(value, span, f"`{self.name}` of `{function}`")


KINDS: Mapping[str, Callable[[Any, Span, str], Any]] = {
    "int": to_int,
    "float": to_number,
    "bool": to_flag,
    "str": to_text,
}
"""Annotations that are checked before the function runs. What they do not say, it checks itself."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes: the first `positional` parameters by position, too.

    `rest` and `names` say whether also further arguments, and names of any kind.
    """

    parameters: tuple[Parameter, ...]
    positional: int
    rest: bool
    names: bool


@cache
def _signature(function: Function) -> Signature:
    given = list(inspect.signature(function).parameters.values())[2:]
    kinds = {p.kind for p in given}
    open_ended = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    named = [p for p in given if p.kind not in open_ended]
    parameters = tuple(
        Parameter(p.name, p.default is inspect.Parameter.empty, p.default, KINDS.get(p.annotation)) for p in named
    )
    positional = sum(p.kind is not inspect.Parameter.KEYWORD_ONLY for p in named)
    return Signature(parameters, positional, open_ended[0] in kinds, open_ended[1] in kinds)


@calls(Builtin)
def _call(function: Builtin, args: Sequence[Any], kwargs: Mapping[str, Any], span: Span, frame: Frame) -> Any:
    signature = _signature(function.run)
    parameters = signature.parameters
    if not args and parameters and parameters[0].name == "x" and "x" not in kwargs:
        return Partial(function, (), kwargs)
    if len(args) > signature.positional and not signature.rest:
        counted = "1 argument" if signature.positional == 1 else f"{signature.positional} arguments"
        raise error("E221", f"`{function.name}` takes {counted}, not {len(args)}", span)
    given = parameters[: min(len(args), signature.positional)]
    _check_names(function, parameters, len(given), kwargs, signature.names, span)
    for parameter in parameters[len(given) :]:
        if parameter.required and parameter.name not in kwargs:
            raise error("E224", f"`{function.name}` needs `{parameter.name}`", span)
    frame.here(span)
    positional = [p.converted(v, function.name, span) for p, v in zip(given, args, strict=False)]
    known = {p.name: p for p in parameters}
    named = {k: known[k].converted(v, function.name, span) if k in known else v for k, v in kwargs.items()}
    return function.run(frame, span, *positional, *args[len(given) :], **named)


def _check_names(
    function: Builtin,
    parameters: Sequence[Parameter],
    positional: int,
    kwargs: Mapping[str, Any],
    any_name: bool,
    span: Span,
) -> None:
    known = [p.name for p in parameters]
    for name in kwargs:
        if name in known[:positional]:
            raise error("E223", f"`{function.name}` gets `{name}` twice", span)
        if name not in known and not any_name:
            hint = nearest(name, known) or (f"its parameters are {', '.join(known)}" if known else None)
            raise error("E222", f"`{function.name}` has no parameter `{name}`", span, hint=hint)


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
    axes = [to_int(a, span, "an axis") for a in listed(axis, span)]
    found = tuple(normalize_axis(a, x.rank) for a in axes)
    if len(set(found)) != len(found):
        raise error("E309", f"an axis is named twice in {axes}", span)
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
