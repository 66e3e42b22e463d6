"""Building graphs from Python: every operator by name, with its attributes checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any

from architrave.ir.dims import Dim
from architrave.ir.graph import Value, lift, make
from architrave.ir.op import Op, lookup
from architrave.ir.place import here
from architrave.ir.source import error, nearest


def call(name: str, *arguments: Any, **attributes: Any) -> Any:
    """Apply the operator `name`: operands first, then attributes, by position or by name.

    Numbers among the operands become constants, `None` stands for an optional operand that is left out,
    lists become tuples. Returns a Value, or a tuple of them. Raises E211..E214 for arguments that do not fit.
    """
    kind = lookup(name)
    operands, rest = _operands(kind, arguments)
    given = dict(zip(kind.attributes, rest, strict=False))
    if len(rest) > len(kind.attributes):
        raise error("E211", f"`{name}` takes {len(kind.operands)} tensors and {len(kind.attributes)} attributes, not {len(arguments)} arguments")
    for key, value in attributes.items():
        if key in given:
            raise error("E212", f"`{name}` gets `{key}` twice")
        given[key] = value
    op = _make_op(kind, given)
    node = make(op, lift(*operands), here())
    return node.outputs[0] if len(node.outputs) == 1 else node.outputs


def _operands(kind: type[Op], arguments: tuple[Any, ...]) -> tuple[list[Any], tuple[Any, ...]]:
    if kind.operands and kind.operands[0].variadic:
        values = [a for a in arguments if isinstance(a, Value)]
        return values, tuple(a for a in arguments if not isinstance(a, Value))
    count = len(kind.operands)
    operands = list(arguments[:count])
    while operands and operands[-1] is None:
        operands.pop()
    required = sum(not o.optional for o in kind.operands)
    if len(operands) < required:
        missing = kind.operands[len(operands)].name
        raise error("E211", f"`{kind.name}` needs the tensor `{missing}`")
    for operand, value in zip(kind.operands, operands, strict=False):
        if not isinstance(value, Value | int | float):
            raise error("E213", f"`{operand.name}` of `{kind.name}` must be a tensor, not {type(value).__name__}")
    return operands, arguments[count:]


def _make_op(kind: type[Op], given: Mapping[str, Any]) -> Op:
    known = _fields(kind)
    for key in given:
        if key not in known:
            raise error("E214", f"`{kind.name}` has no attribute `{key}`", hint=nearest(key, known))
    for key, required in known.items():
        if required and key not in given:
            raise error("E214", f"`{kind.name}` needs the attribute `{key}`")
    return kind(**{k: _frozen(v) for k, v in given.items()})


@cache
def _fields(kind: type[Op]) -> dict[str, bool]:
    fields = dataclasses.fields(kind)  # pyright: ignore[reportArgumentType]
    return {f.name: f.default is dataclasses.MISSING for f in fields}


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple | range):
        return tuple(_frozen(v) for v in value)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float) and value.is_integer() and False:
        return int(value)
    return value if not isinstance(value, Dim) else value
