"""The layout of `.arch` text, such that `architrave fmt` has nothing to change.

What is written is one logical line a statement. One that is too long is broken at the arrows of its pipe, else at
the commas of its longest bracket; the formatter leaves such breaks where they are.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Sequence

WIDTH = 100
FARTHEST_ARROW = 60
"""Arrows further right than this are not aligned with."""
SHORT = 24
"""Numbers and names that are no longer than this share lines."""

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|->|[()\[\]{},]|.', re.DOTALL)


def laid_out(line: str) -> list[str]:
    """A logical line as lines of at most `WIDTH` columns, as far as that can be."""
    if len(line) <= WIDTH:
        return [line]
    arrows = _arrows(line)
    if len(arrows) > 1:
        parts = [line[a:b].rstrip() for a, b in zip([0, *arrows[1:]], [*arrows[1:], len(line)], strict=True)]
        first = _bracketed(parts[0])
        at = next(found[0] for found in map(_arrows, first) if found)
        at = at if at <= FARTHEST_ARROW else _margin(line) + 4
        return [*first, *(found for part in parts[1:] for found in _bracketed(" " * at + part))]
    return _bracketed(line)


def docstring(text: str, margin: str) -> str:
    """A docstring at its place; one of several lines ends on a line of its own."""
    safe = text.replace('"""', "'''")
    lines = [found for line in inspect.cleandoc(safe).rstrip().split("\n") for found in _wrapped(line.rstrip())]
    if len(lines) == 1:
        before, after = (" " * lines[0].startswith('"'), " " * lines[0].endswith('"'))
        return f'{margin}"""{before}{lines[0]}{after}"""'
    # Without a line at the margin below it, the first line must stand below the quotes to keep its place.
    below = all(line.startswith(" ") for line in lines[1:] if line)
    first = f"\n{margin}" if below else " " * lines[0].startswith('"')
    rest = [margin + line if line else "" for line in lines[1:]]
    return "\n".join([f'{margin}"""{first}{lines[0]}', *rest, f'{margin}"""'])


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, break_on_hyphens=False) if len(line) > WIDTH + 10 else [line]


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _arrows(line: str) -> list[int]:
    """Where the arrows stand that are in no bracket."""
    depth = 0
    found: list[int] = []
    for match in _TOKEN.finditer(line):
        text = match.group()
        depth = max(depth + (text in "([{") - (text in ")]}"), 0)
        if text == "->" and depth == 0:
            found.append(match.start())
    return found


def _bracketed(line: str) -> list[str]:
    """A line broken inside its longest bracket, and what that leaves too long again."""
    done: list[str] = []
    pending = [line]
    while pending:
        line = pending.pop()
        pair = _longest(line) if len(line) > WIDTH else None
        if pair is None:
            done.append(line)
            continue
        start, end = pair
        margin = " " * (_margin(line) + 4)
        inside = _filled([part + "," for part in _parts(line[start + 1 : end])], margin)
        inside[-1] = inside[-1].removesuffix(",")
        pending += [" " * _margin(line) + line[end:], *reversed(inside), line[: start + 1]]
    return done


def _longest(line: str) -> tuple[int, int] | None:
    """The longest bracket that is in no other, and not empty."""
    opened: list[int] = []
    found: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(line):
        if match.group() in ("(", "["):
            opened.append(match.start())
        elif match.group() in (")", "]") and opened:
            start = opened.pop()
            if not opened and match.start() > start + 1:
                found.append((start, match.start()))
    return max(found, key=lambda pair: pair[1] - pair[0], default=None)


def _parts(text: str) -> list[str]:
    """What commas separate, brackets kept whole."""
    depth, start = 0, 0
    found: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        depth += (token in "([{") - (token in ")]}")
        if token == "," and depth == 0:
            found.append(text[start : match.start()].strip())
            start = match.end()
    last = text[start:].strip()
    return [*found, last] if last else found


def _filled(parts: Sequence[str], margin: str) -> list[str]:
    """The parts one a line, or, if they are short, as many as fit."""
    if any(len(part) > SHORT or re.search(r"[\[({]", part) for part in parts):
        return [margin + part for part in parts]
    lines = [margin + parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) > WIDTH:
            lines.append(margin + part)
        else:
            lines[-1] += f" {part}"
    return lines
