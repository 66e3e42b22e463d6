"""What an operator accepts, read once from its class: operands, and attributes with their kinds."""

from __future__ import annotations

import dataclasses
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from architrave.ir.axes.axis import Axes
from architrave.ir.dims import Dim
from architrave.ir.graph import Graph, Value
from architrave.ir.op import Op, Operand, lookup
from architrave.ir.source import ArchitraveError, error, nearest
from architrave.ir.types import DType

MISFIT = object()
"""What a converter gives for a value that is not of its kind."""

Converter = Callable[[Any], Any]


@dataclass(frozen=True)
class Attribute:
    """One attribute: its kind as the language writes it, and the function that makes a value of it, or `MISFIT`."""

    name: str
    kind: str
    convert: Converter
    default: Any = dataclasses.MISSING

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING

    def __str__(self) -> str:
        return f"{self.name}: {self.kind}" if self.required else f"{self.name}: {self.kind} = {written(self.default)}"


@dataclass(frozen=True)
class Signature:
    """The operands and attributes of an operator."""

    op: type[Op]
    attributes: Mapping[str, Attribute]

    @property
    def operands(self) -> tuple[Operand, ...]:
        return self.op.operands

    @property
    def variadic(self) -> bool:
        return any(operand.variadic for operand in self.operands)

    def __str__(self) -> str:
        written = [f"*{o.name}" if o.variadic else f"{o.name} = none" if o.optional else o.name for o in self.operands]
        return f"{self.op.name}({', '.join(written)}; {', '.join(map(str, self.attributes.values()))})"

    def instance(self, given: Mapping[str, Any]) -> Op:
        """The operator with these attributes. Raises E214 for one unknown or missing, E215 for one of another kind."""
        for name in given:
            if name not in self.attributes:
                raise self._unknown(name)
        values: dict[str, Any] = {}
        for name, attribute in self.attributes.items():
            if name in given:
                values[name] = self._converted(attribute, given[name])
            elif attribute.required:
                raise error("E214", f"`{self.op.name}` needs `{name}`", hint=f"`{self}`")
        return self.op(**values)

    def _converted(self, attribute: Attribute, value: Any) -> Any:
        result = attribute.convert(value)
        if result is not MISFIT:
            return result
        found = written(value)[:80]
        raise error("E215", f"`{attribute.name}` of `{self.op.name}` must be `{attribute.kind}`, not `{found}`")

    def _unknown(self, name: str) -> ArchitraveError:
        known = [*self.attributes, *(operand.name for operand in self.operands)]
        return error("E214", f"`{self.op.name}` has no `{name}`", hint=nearest(name, known) or f"it is `{self}`")


@cache
def signature(name: str) -> Signature:
    """The signature of the operator called `name`. Raises E210 where there is none."""
    op = lookup(name)
    # Annotations name classes that not every module of operators imports when it runs.
    hints = typing.get_type_hints(op, localns={"Axes": Axes, "Dim": Dim, "Graph": Graph, "Value": Value})
    fields = dataclasses.fields(op)  # type: ignore[arg-type]  # every operator is a dataclass
    return Signature(op, {f.name: Attribute(f.name, *_kind(hints[f.name]), f.default) for f in fields})


def _kind(hint: Any) -> tuple[str, Converter]:
    """An annotation as the language writes it, and its converter."""
    if hint in _SIMPLE:
        return _SIMPLE[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments)
    if origin is Literal:
        text = " or ".join(f'"{a}"' for a in arguments)
        return text, lambda value: value if isinstance(value, str) and value in arguments else MISFIT
    if origin is tuple and arguments[-1] is Ellipsis:
        return _sequence(*_kind(arguments[0]))
    if origin is tuple:
        return _pair([_kind(a) for a in arguments])
    return hint.__name__, lambda v: v if isinstance(v, hint) else MISFIT


def _union(members: tuple[Any, ...]) -> tuple[str, Converter]:
    kinds = [_kind(member) for member in members]

    def convert(value: Any) -> Any:
        results = [result for _, member in kinds if (result := member(value)) is not MISFIT]
        # What stays as it is comes first: `float | int` keeps an integer.
        return next((r for r in results if r is value), results[0] if results else MISFIT)

    return " or ".join(dict.fromkeys(text for text, _ in kinds)), convert


def _sequence(text: str, item: Converter) -> tuple[str, Converter]:
    def convert(value: Any) -> Any:
        if not isinstance(value, tuple | list | range):
            return MISFIT
        results = tuple(map(item, value))  # pyright: ignore[reportUnknownArgumentType]
        return MISFIT if MISFIT in results else results

    return f"[{text}, ...]", convert


def _pair(kinds: list[tuple[str, Converter]]) -> tuple[str, Converter]:
    def convert(value: Any) -> Any:
        if not isinstance(value, tuple | list) or len(value) != len(kinds):  # pyright: ignore[reportUnknownArgumentType]
            return MISFIT
        results = tuple(item(v) for (_, item), v in zip(kinds, value, strict=True))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return MISFIT if MISFIT in results else results

    return f"[{', '.join(text for text, _ in kinds)}]", convert


def _integer(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return MISFIT
    return int(value)


def _float(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return MISFIT
    try:
        return float(value)
    except OverflowError:
        return MISFIT


def _dtype(value: Any) -> Any:
    if isinstance(value, str):
        return next((d for d in DType if d.value == value), MISFIT)
    return value if isinstance(value, DType) else MISFIT


def _exactly(kind: type) -> Converter:
    return lambda value: value if isinstance(value, kind) else MISFIT


_SIMPLE: dict[Any, tuple[str, Converter]] = {
    int: ("int", _integer),
    float: ("float", _float),
    bool: ("bool", _exactly(bool)),
    str: ("str", _exactly(str)),
    Dim: ("int", _exactly(Dim)),
    DType: ("dtype", _dtype),
    type(None): ("none", _exactly(type(None))),
}


def written(value: Any, depth: int = 4) -> str:
    """An attribute's value as the language writes it; for what it cannot write, the kind of thing that it is."""
    match value:
        case None | bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case tuple() | list():
            inside = (written(v, depth - 1) for v in value) if depth else ["..."]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            return f"[{', '.join(inside)}]"
        case int() | float() | Dim() | DType():
            return str(value)
        case _:
            return f"a {type(value).__name__}"
