"""What an error of an operator says beyond its message: where the operator stands, and where its operands came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from architrave.ir.place import Here, Place
from architrave.ir.source import ArchitraveError, Diagnostic, Note, Span

if TYPE_CHECKING:
    from architrave.ir.graph import Value

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")


def located(problem: ArchitraveError, operands: Sequence[Value], marks: Here) -> ArchitraveError:
    """The error of `op.infer` at the place of the new node, with where the operands that it speaks of came from."""
    trail = marks.place.trail() if marks.place is not None else ()
    return ArchitraveError(
        [
            replace(
                d,
                span=d.span or marks.span,
                notes=(*d.notes, *_notes(d, operands, marks)),
                trail=d.trail or trail,
            )
            for d in problem.diagnostics
        ]
    )


def _notes(diagnostic: Diagnostic, operands: Sequence[Value], marks: Here) -> Iterator[Note]:
    for ordinal, value in zip(ORDINALS, operands, strict=False):
        span = origin(value, marks.place)
        shape = str(value.type)
        if span is not None and shape in diagnostic.message and value.op.name != "full":
            yield Note(f"the {ordinal} operand is {shape}", span)


def origin(value: Value, seen_from: Place | None) -> Span | None:
    """Where a value came from, as the code at a place sees it.

    What a block further in computed came from the call of that block: the reader looks at the code that
    is wrong, not at the library.
    """
    chain = set(_outward(seen_from))
    span = value.node.span
    for place in _outward(value.node.place):
        if place in chain:
            return span
        span = place.span or span
    return span


def _outward(place: Place | None) -> Iterator[Place]:
    while place is not None:
        yield place
        place = place.parent
