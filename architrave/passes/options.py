"""Options of passes as text, `{bits=8 only=layer3.*}`, read and written by the types of their fields."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from architrave.ir.source import error, nearest
from architrave.passes.base import Pass
from architrave.passes.select import Select

WORDS = {"true": True, "false": False}


def with_options(kind: type[Pass], given: Mapping[str, str]) -> Pass:
    """A pass with options given as text. Raises E802 for an option that it lacks, E803 for a value that is none."""
    types = option_types(kind)
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name not in types:
            hint = nearest(name, types) or (f"it has {', '.join(types)}" if types else "it has none")
            raise error("E802", f"the pass `{kind.name}` has no option `{name}`", hint=hint)
        values[name] = _read(f"{kind.name}{{{name}}}", types[name], text)
    return kind(**values)


def option_types(kind: type[Pass]) -> dict[str, Any]:
    """The type of each option."""
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}  # type: ignore[arg-type]  # every pass is one


def options_text(one: Pass) -> str:
    """The options that are not at their defaults, in braces; nothing where all are."""
    fields = dataclasses.fields(one)  # type: ignore[arg-type]  # every pass is one
    shown = [f"{f.name}={value_text(getattr(one, f.name))}" for f in fields if getattr(one, f.name) != f.default]
    return f"{{{' '.join(shown)}}}" if shown else ""


def type_text(type: Any) -> str:
    """What values an option takes, for people."""
    if get_origin(type) is Literal:
        return " | ".join(map(str, get_args(type)))
    known = {int: "integer", float: "number", bool: "true | false", str: "text", Select: "nodes"}
    return known.get(type) or str(getattr(type, "described", type))


def _read(what: str, type: Any, text: str) -> Any:
    if get_origin(type) is Literal:
        found = next((choice for choice in get_args(type) if str(choice) == text), None)
        if found is None:
            raise _wrong(what, type, text, nearest(text, map(str, get_args(type))))
        return found
    if type is bool:
        if text not in WORDS:
            raise _wrong(what, type, text)
        return WORDS[text]
    if type is Select:
        return Select.parse(text)
    try:
        value = type(text)
    except ValueError:
        raise _wrong(what, type, text) from None
    if value != value:  # what is not a number equals nothing, so that pipelines would differ from themselves
        raise _wrong(what, type, text)
    return value


def _wrong(what: str, type: Any, text: str, hint: str | None = None) -> Exception:
    return error("E803", f"`{what}` takes {type_text(type)}, not `{text}`", hint=hint)


def value_text(value: object) -> str:
    """A value as a pipeline gives it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
