"""Annotations: facts that nodes carry for the passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from architrave.dsl import syntax
from architrave.dsl.elaborate.core import Frame, evaluate
from architrave.dsl.elaborate.kinds import is_list
from architrave.dsl.elaborate.limits import FACT_LIMIT, extent
from architrave.dsl.elaborate.values import describe
from architrave.ir.place import Fact
from architrave.ir.source import Span, error


def evaluated_facts(annotations: Sequence[syntax.Annotation], frame: Frame) -> tuple[Fact, ...]:
    """Annotations with their arguments evaluated; those are numbers, strings, truth values and lists of them."""
    return tuple(_fact(a, frame) for a in annotations) if annotations else ()


def _fact(annotation: syntax.Annotation, frame: Frame) -> Fact:
    evaluated = [(a, evaluate(a.value, frame)) for a in annotation.arguments]
    for argument, value in evaluated:
        frame.build.handle(value, argument.span)
        if extent(value, argument.span) > FACT_LIMIT:
            raise error("E453", f"an annotation may hold {FACT_LIMIT:,} values", argument.span)
    values = [(a.name, _plain(value, a.span)) for a, value in evaluated]
    positional = tuple(v for name, v in values if name is None)
    named = tuple((name.text, v) for name, v in values if name is not None)
    return Fact(annotation.name.text, positional, named)


def _plain(value: Any, span: Span) -> Any:
    if is_list(value):
        return tuple(_plain(v, span) for v in value)
    if value is None or isinstance(value, int | float | str | bool):
        return value
    raise error("E226", f"an annotation takes numbers, strings and lists, not {describe(value)}", span)
