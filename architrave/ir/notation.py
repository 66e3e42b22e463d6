"""Pieces of `.arch` text: literals, types, attributes, annotations and names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from architrave.ir.dims import Dim, Size
from architrave.ir.op import Op
from architrave.ir.ops.leaves import Constant, Initial
from architrave.ir.place import Fact
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

KEYWORDS = frozenset(
    """
    import from as const fn grad block model param state return if else for in scan carry emit while
    choice constraint expect at assert and or not true false none training language inf op constant
    float bool int
    """.split()  # noqa: SIM905 - a list of these would fill a page
)
"""Words that no variable of the printed text is called."""

SizeText = Callable[[Dim], str]
"""How a symbolic size is written where it is used."""


def identifier(text: str) -> str:
    """An identifier that looks like `text`; it may be a keyword."""
    name = re.sub(r"\W", "_", text, flags=re.ASCII)[:60]
    return name if name[:1].isalpha() else f"v{name}"


def tuple_text(names: Sequence[str], *, always: bool = False) -> str:
    """`(a, b)`; one name stands by itself unless `always` a tuple is wanted."""
    if len(names) == 1 and not always:
        return names[0]
    return f"({', '.join(names)}{',' * (len(names) == 1)})"


def indented(lines: Iterable[str]) -> list[str]:
    """The lines, one level further in."""
    return [f"    {line}" for line in lines]


def fact_lines(facts: Sequence[Fact]) -> list[str]:
    """Annotations, one a line."""
    return [f"@{f.name}{_fact_arguments(f)}" for f in facts]


def attributes(op: Op, shown: Collection[str] = (), size: SizeText = str) -> list[str]:
    """`name = value` for each attribute that is not the default, and for those in `shown`."""
    fields = {f.name: f for f in dataclasses.fields(op)}  # type: ignore[arg-type]  # every operator is one
    given = ((name, getattr(op, name)) for name in op.attributes)
    return [
        f"{name} = {literal(value, size)}"
        for name, value in given
        if name in shown or not is_default(value, fields[name].default)
    ]


def is_default(value: object, default: object) -> bool:
    """Whether an attribute need not be written: 1 is not 1.0, and 0.0 is not -0.0."""
    return type(value) is type(default) and value == default and str(value) == str(default)


def size_text(size: Size) -> str:
    """A size where a range may follow."""
    return f"({size})" if isinstance(size, Dim) else str(size)


def literal(value: Any, size: SizeText = str) -> str:
    """A static value as text. Raises E350 for what has none."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "none"
        case float() if value != value:
            return "(inf - inf)"
        case Dim():
            return size(value)
        case int() | float() | DType():
            return str(value)
        case str():
            return string(value)
        case tuple():
            return f"[{', '.join(literal(v, size) for v in value)}]"  # pyright: ignore[reportUnknownVariableType]
        case TensorType():
            raise error("E350", "a type cannot be an attribute in text")
        case _:
            raise error("E350", f"`{type(value).__name__}` has no form in text")


def string(text: str) -> str:
    """A string between quotes, on one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def initial_text(initial: Initial) -> str:
    """How a weight starts: `normal(0.02)`."""
    if not initial.arguments:
        return initial.kind
    return f"{initial.kind}({', '.join(literal(a) for a in initial.arguments)})"


def constant_text(op: Constant) -> str:
    """A stored array as nested lists."""
    from architrave.ir.storage import constant_array

    dtype = "" if op.type.dtype is DType.FLOAT else f", dtype = {op.type.dtype}"
    return f"constant({_nested(constant_array(op).tolist())}{dtype})"


def _fact_arguments(fact: Fact) -> str:
    arguments = [literal(a) for a in fact.args] + [f"{k} = {literal(v)}" for k, v in fact.kwargs]
    return f"({', '.join(arguments)})" if arguments else ""


def _nested(value: Any) -> str:
    return f"[{', '.join(_nested(v) for v in value)}]" if isinstance(value, list) else literal(value)  # pyright: ignore[reportUnknownVariableType]
