"""Laying out emitted lines that are too long."""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 112
_PIECE = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[(\[{]|[)\]}]|,|[^"'()\[\]{},]+""")
_OPENING, _CLOSING = "([{", ")]}"


def wrapped(line: str) -> list[str]:
    """The line; one that is too long with the arguments of its longest call each on a line of their own."""
    code, comment, source = line.partition("  # ")
    if len(code) <= WIDTH:
        return [line]
    found = max(_groups(code), key=lambda group: group[1] - group[0], default=None)
    if found is None:
        return [line]
    start, stop = found
    arguments = list(_arguments(code[start + 1 : stop]))
    if len(arguments) < 2:
        return [line]
    margin = " " * (len(line) - len(line.lstrip()))
    # What is inside brackets is shorter than the whole: this comes to an end.
    inside = [part for argument in arguments for part in wrapped(f"{margin}    {argument},")]
    return [f"{code[: start + 1]}{comment}{source}", *inside, f"{margin}{code[stop:]}"]


def _groups(code: str) -> Iterator[tuple[int, int]]:
    """Where the outermost brackets open and close."""
    depth, start = 0, 0
    for match in _PIECE.finditer(code):
        if match.group() in _OPENING:
            start = match.start() if depth == 0 else start
            depth += 1
        elif match.group() in _CLOSING:
            depth -= 1
            if depth == 0:
                yield start, match.start()


def _arguments(code: str) -> Iterator[str]:
    """What commas part at the outermost level; nothing where a comprehension stands there."""
    depth, start = 0, 0
    if re.search(r"^[^()]* for ", code):
        return
    for match in _PIECE.finditer(code):
        depth += (match.group() in _OPENING) - (match.group() in _CLOSING)
        if match.group() == "," and depth == 0:
            yield code[start : match.start()].strip()
            start = match.end()
    if code[start:].strip():
        yield code[start:].strip()
