"""Patterns of axes, `n c (h w) -> n h w c`: reading them, and errors that point into them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from architrave.dsl.elaborate.values import describe
from architrave.ir.source import ArchitraveError, Note, Span, error

_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_]\w*|\d+)|(?P<mark>\.\.\.|[()]))")


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a pattern: a name, `1` for an axis of length 1, or `...`; `at` is its offset."""

    name: str
    at: int


Group = tuple[Axis, ...]


class Pattern:
    """A pattern's text and where it stands, so that errors can point into it."""

    def __init__(self, text: str, span: Span) -> None:
        self.text = text
        self.span = span

    def wrong(self, message: str, at: int = 0, length: int | None = None, hint: str | None = None) -> ArchitraveError:
        """An error that points at `length` characters from offset `at`."""
        end = at + (len(self.text) - at if length is None else length)
        source = self.span.text
        inside = self.span.within(1 + at, 1 + end) if source[1:-1] == self.text else self.span
        notes = [Note(f'the pattern is "{self.text[:80]}"')] if inside is self.span else []
        return error("E280", message, inside, notes=notes, hint=hint)

    def side(self, start: int, stop: int) -> list[Group]:
        """The axes between two offsets, each in its group; a single axis is a group of one."""
        groups: list[Group] = []
        inside: list[Axis] | None = None
        opened = position = start
        while self.text[position:stop].strip():
            match = _TOKEN.match(self.text, position, stop)
            if match is None:
                at = position + len(self.text[position:stop]) - len(self.text[position:stop].lstrip())
                raise self.wrong(f"`{self.text[at]}` cannot stand in a pattern", at, 1)
            position = match.end()
            token = match[match.lastgroup or 0]
            at = position - len(token)
            if token == "(":
                if inside is not None:
                    raise self.wrong("groups do not nest", at, 1)
                inside, opened = [], at
            elif token == ")":
                if inside is None:
                    raise self.wrong("`)` closes nothing", at, 1)
                groups.append(tuple(inside))
                inside = None
            else:
                axis = Axis(token, at)
                groups.append((axis,)) if inside is None else inside.append(axis)
        if inside is not None:
            raise self.wrong("`(` is never closed", opened, 1)
        return groups

    def checked(self, groups: list[Group]) -> list[Group]:
        """The groups, if no axis stands twice on this side."""
        seen: set[str] = set()
        for axis in (a for g in groups for a in g):
            if axis.name in seen and axis.name != "1":
                raise self.wrong(f"`{axis.name}` stands twice on one side", axis.at, len(axis.name))
            if axis.name.isdigit() and axis.name != "1":
                raise self.wrong("an axis has a name, or is 1", axis.at, len(axis.name))
            seen.add(axis.name)
        return groups


def two_sides(text: Any, span: Span, name: str) -> tuple[Pattern, list[Group], list[Group]]:
    if not isinstance(text, str):
        raise error("E227", f"`{name}` takes a pattern, not {describe(text)}", span)
    pattern = Pattern(text, string_span(text, span))
    arrow = text.find("->")
    if arrow < 0:
        raise pattern.wrong("a pattern has `->` between its sides", hint="such as `n c -> c n`")
    if text.find("->", arrow + 2) >= 0:
        raise pattern.wrong("a pattern has one `->`", text.find("->", arrow + 2), 2)
    left = pattern.checked(pattern.side(0, arrow))
    return pattern, left, pattern.checked(pattern.side(arrow + 2, len(text)))


def string_span(text: str, span: Span) -> Span:
    """Where the pattern stands inside the call."""
    at = span.text.find(f'"{text}"')
    return span if at < 0 else span.within(at, at + len(text) + 2)
