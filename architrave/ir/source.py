"""Where things stand in source text, and the errors that point there.

Every error that a user can cause is an `ArchitraveError`: one or more `Diagnostic`s, each with a code,
a span, the chain of block instances that led there, and, where one is known, a suggestion.
"""

from __future__ import annotations

import bisect
import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property


@dataclass(frozen=True, eq=False)
class Source:
    """One file's text. `name` is what errors and emitted comments call it."""

    name: str
    text: str = field(repr=False)

    @cached_property
    def line_starts(self) -> list[int]:
        starts = [0]
        starts.extend(i + 1 for i, c in enumerate(self.text) if c == "\n")
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1."""
        line = bisect.bisect_right(self.line_starts, offset)
        return line, offset - self.line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1, without its end."""
        start = self.line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : len(self.text) if end < 0 else end]


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """The characters `start` up to, not including, `end` of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    def to(self, other: Span) -> Span:
        """The span from the start of this one to the end of the other."""
        return Span(self.source, self.start, max(self.end, other.end))

    def within(self, start: int, end: int) -> Span:
        """A part of this span, by offsets into its text."""
        return Span(self.source, self.start + start, min(self.start + end, self.end))

    def underlined(self, limit: int = 160) -> list[str]:
        """The first line of the span and carets under it, as an error shows them."""
        number, column = self.source.position(self.start)
        text = self.source.line(number)
        width = max(1, min(self.end - self.start, len(text) - column + 1))
        first = max(0, column - 1 - limit // 2)
        shown = text[first : first + limit]
        prefix = "..." if first else ""
        blank = "".join(
            "\t" if c == "\t" else "  " if unicodedata.east_asian_width(c) in "WF" else " "
            for c in text[first : column - 1]
        )
        marks = "^" * min(width, max(1, len(shown) - (column - 1 - first)))
        return [prefix + printable(shown), " " * len(prefix) + blank + marks]


def printable(text: str) -> str:
    """`text` with control characters replaced, so that no file can write escape codes to a terminal."""
    return "".join(
        c if c == "\t" or not unicodedata.category(c).startswith("C") else "\N{REPLACEMENT CHARACTER}" for c in text
    )


@dataclass(frozen=True, slots=True)
class Note:
    """A further place or fact that belongs to a diagnostic, such as where a dimension was bound."""

    message: str
    span: Span | None = None


@dataclass(frozen=True)
class Diagnostic:
    """What is wrong, where, why, and what to do about it.

    `code` is stable (`E203`); `message` is one sentence without a full stop; `trail` is the chain of
    block instances from the model down, each with the span that applied it; `hint` says what to do.
    `severity` is `error`, or `warning` of what works and is hardly what was meant.
    """

    code: str
    message: str
    span: Span | None = None
    notes: tuple[Note, ...] = ()
    trail: tuple[Note, ...] = ()
    hint: str | None = None
    severity: str = "error"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        lines = [f"{self.severity}[{self.code}]: {printable_lines(self.message)}"]
        if self.span is not None:
            lines += _shown(self.span)
        for note in self.notes:
            lines.append(f"  note: {printable_lines(note.message)}")
            if note.span is not None:
                lines += _shown(note.span)
        for step in self._shown_trail():
            where = f" ({step.span})" if step.span is not None else ""
            lines.append(f"  in {printable_lines(step.message)}{where}")
        if self.hint is not None:
            lines.append(f"  help: {printable_lines(self.hint)}")
        return lines

    def _shown_trail(self) -> Sequence[Note]:
        if len(self.trail) <= 12:
            return self.trail
        left_out = Note(f"... {len(self.trail) - 10} more")
        return (*self.trail[:5], left_out, *self.trail[-5:])

    def to_json(self) -> dict[str, object]:
        """The diagnostic as JSON-ready data; positions are 1-based lines and columns."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            **_place(self.span),
            "notes": [{"message": n.message, **_place(n.span)} for n in self.notes],
            "trail": [{"message": n.message, **_place(n.span)} for n in self.trail],
        }


def printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.split("\n"))


def _shown(span: Span) -> list[str]:
    line = span.line
    margin = " " * len(str(line))
    text, marks = span.underlined()
    return [f"  --> {printable(str(span))}", f"  {line} | {text}", f"  {margin} | {marks}"]


def _place(span: Span | None) -> dict[str, object]:
    if span is None:
        return {}
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"file": span.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


@dataclass
class ArchitraveError(Exception):
    """Something is wrong with what the user gave us. Holds at least one diagnostic."""

    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])

    def __str__(self) -> str:
        return "\n\n".join(str(d) for d in self.diagnostics)

    def with_trail(self, step: Note) -> ArchitraveError:
        """The same error seen from one instance further out."""
        return ArchitraveError([replace(d, trail=(step, *d.trail)) for d in self.diagnostics])


def error(
    code: str,
    message: str,
    span: Span | None = None,
    *,
    notes: Iterable[Note] = (),
    hint: str | None = None,
) -> ArchitraveError:
    """An error with one diagnostic, to be raised."""
    return ArchitraveError([Diagnostic(code, message, span, tuple(notes), (), hint)])


def nearest(name: str, known: Iterable[str]) -> str | None:
    """`did you mean ...?` for a misspelt name, or None where nothing is near."""
    matches = difflib.get_close_matches(name[:80], list(known), n=1, cutoff=0.6)
    return f"did you mean `{matches[0]}`?" if matches else None
