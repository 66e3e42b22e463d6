"""The left side of assignments."""

from __future__ import annotations

from collections.abc import Iterator
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
    _bind(target, value, frame, names_instances=True)


def take(target: syntax.Target, value: Any, frame: Frame) -> None:
    """Bind the names of a loop's target. They are the loop's, so that an instance from a list keeps its own."""
    _bind(target, value, frame, names_instances=False)


def _bind(target: syntax.Target, value: Any, frame: Frame, *, names_instances: bool) -> None:
    if isinstance(target, syntax.TupleTarget):
        for item, part in _parts(target, value):
            _bind(item, part, frame, names_instances=names_instances)
        return
    name = target.text
    if name == "_":
        return
    if isinstance(value, Value):
        value.named(name, frame.place)
    elif names_instances and isinstance(value, Instance) and value.path is None:
        claim(value, name, target.span, frame)
    frame.scope[name] = value


def _parts(target: syntax.TupleTarget, value: Any) -> Iterator[tuple[syntax.Target, Any]]:
    """Each name with its part of a tuple or list. Raises E238 for anything else, or another number of parts."""
    if not is_nest(value):
        raise error("E238", f"{describe(value)} cannot be taken apart", target.span)
    if len(value) != len(target.items):
        raise error("E238", f"{describe(value)} does not fit {len(target.items)} names", target.span)
    return zip(target.items, value, strict=True)
