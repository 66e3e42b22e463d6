"""The left side of assignments."""

from __future__ import annotations

from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.kinds import is_nest
from architrave.dsl.elaborate.names import claim
from architrave.dsl.elaborate.values import Instance, describe
from architrave.ir.graph import Value
from architrave.ir.source import error


def assign(target: syntax.Target, value: Any, frame: Frame) -> None:
    """Bind the names of a target. A tensor, or an instance without a name, takes the first name it gets."""
    if isinstance(target, syntax.TupleTarget):
        _unpack(target, value, frame)
        return
    name = target.text
    if name == "_":
        return
    if isinstance(value, Value):
        value.named(name, frame.place)
    elif isinstance(value, Instance) and value.path is None:
        claim(value, name, target.span, frame)
    frame.scope[name] = value


def _unpack(target: syntax.TupleTarget, value: Any, frame: Frame) -> None:
    if not is_nest(value):
        raise error("E238", f"{describe(value)} cannot be taken apart", target.span)
    if len(value) != len(target.items):
        raise error("E238", f"{describe(value)} does not fit {len(target.items)} names", target.span)
    for item, part in zip(target.items, value, strict=True):
        assign(item, part, frame)
