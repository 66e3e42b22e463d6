"""Tokens to lines: where they break, how far they are indented, which blank lines stay."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

from architrave.dsl.items import Item, measure
from architrave.dsl.lexer import CLOSES, OPENS
from architrave.dsl.spacing import ENDS_VALUE, gap

INDENT = 4
FARTHEST_ARROW = 60
"""Arrows further right than this are not aligned with."""


@dataclass(slots=True)
class Line:
    """A line of the result. `remedies` are the openers and arrows at which it could break, best first."""

    text: str
    remedies: list[int] = field(default_factory=list[int])
    blank_before: bool = False
    starts_declaration: str = ""
    is_comment: bool = False


@dataclass(slots=True)
class Frame:
    """An open bracket: where its lines are indented, and the pipe that is being written in it."""

    opener: int
    closes_at: int
    indent: int
    is_broken: bool
    is_choice: bool = False
    awaits_choice: bool = False
    arrow_column: int = -1


class Layout:
    """One writing of all items, with the breaks that the text has and those that `forced` adds."""

    def __init__(self, items: list[Item], forced: set[int]) -> None:
        self.items = items
        self.forced = forced
        self.closers, self.broken, self.chains = measure(items, forced)
        self.lines: list[Line] = []
        self.frames = [Frame(-1, len(items), 0, True)]
        self.words: list[str] = []
        self.line = Line("")
        self.candidates: list[tuple[int, int]] = []
        self.indent = 0
        self.column = 0

    def run(self) -> list[Line]:
        for i, item in enumerate(self.items):
            if self._breaks_before(i):
                self._end_line()
                self._write_comments(i)
                self._begin_line(i)
            if item.kind == "END":
                break
            self._write(i)
            self._keep_frames(i)
        self._end_line()
        return self.lines

    def _breaks_before(self, i: int) -> bool:
        item, frame = self.items[i], self.frames[-1]
        if i == 0 or item.starts_statement or item.comments or self.items[i - 1].trailing or item.kind == "END":
            return True
        previous = self.items[i - 1].kind
        if previous in OPENS or i == frame.closes_at:
            return frame.is_broken and not (previous in OPENS and i == frame.closes_at)
        if item.kind == "->":
            return self._arrow_breaks(i)
        if previous == "," and frame.is_broken and (frame.opener in self.forced or frame.is_choice):
            return True
        return item.newlines > 0 and item.kind != "else"

    def _arrow_breaks(self, i: int) -> bool:
        chain = self.chains[i]
        return chain.is_broken and (i != chain.first or self.items[i].newlines > 0)

    # -------------------------------------------------------- lines

    def _end_line(self) -> None:
        if not self.words:
            return
        self.candidates.sort(reverse=True)
        self.line.text = "".join(self.words)
        self.line.remedies = [remedy for _, remedy in self.candidates]
        self.lines.append(self.line)
        self.words, self.candidates = [], []

    def _begin_line(self, i: int) -> None:
        item = self.items[i]
        self.indent = self._indent(i)
        self.column = self.indent
        self.line = Line("", blank_before=self._keeps_blank(i) and item.newlines > 1)
        if not item.comments:
            self._mark_declaration(i, self.line)
        self.words = [" " * self.indent] if item.kind != "END" else []

    def _write_comments(self, i: int) -> None:
        item, frame = self.items[i], self.frames[-1]
        is_first = i > 0 and self.items[i - 1].kind in OPENS
        indent = frame.indent if i == frame.closes_at or item.kind == "END" else self._indent(i)
        for number, (text, newlines) in enumerate(item.comments):
            blank = newlines > 1 and self._in_body() and not (is_first and number == 0)
            line = Line(" " * indent + text, blank_before=blank, is_comment=True)
            if number == 0:
                self._mark_declaration(i, line)
            self.lines.append(line)

    def _mark_declaration(self, i: int, line: Line) -> None:
        item = self.items[i]
        if len(self.frames) == 1 and (item.starts_statement or item.kind == "END") and not item.follows_annotation:
            line.starts_declaration = item.kind

    def _in_body(self) -> bool:
        frame = self.frames[-1]
        return frame.opener < 0 or (self.items[frame.opener].kind == "{" and not frame.is_choice)

    def _keeps_blank(self, i: int) -> bool:
        """Whether a blank line before a token may stay: between statements, or after comments before one."""
        item = self.items[i]
        is_first = i > 0 and self.items[i - 1].kind in OPENS
        return (item.starts_statement or (is_first and bool(item.comments))) and not item.follows_annotation

    def _indent(self, i: int) -> int:
        item, frame = self.items[i], self.frames[-1]
        if i == frame.closes_at:
            return frame.indent - INDENT
        previous = self.items[i - 1].kind if i else "{"
        if item.starts_statement or item.follows_annotation or previous in OPENS or item.kind in ("else", "END"):
            return frame.indent
        if previous == "," and not self._in_body():
            return frame.indent
        if item.kind == "->" and self.chains[i].first != i and 0 <= frame.arrow_column <= FARTHEST_ARROW:
            return frame.arrow_column
        return frame.indent + INDENT

    # -------------------------------------------------------- tokens

    def _write(self, i: int) -> None:
        item = self.items[i]
        text = item.text
        if item.kind == "DOCSTRING":
            text = docstring(text, self.indent)
        if i and len(self.words) > 1:
            before = self.items[i - 1]
            opener = self.frames[-1].opener
            in_index = opener > 0 and item_is_index(self.items, opener)
            self._add(gap(before.kind, before.text, item.kind, text, in_index))
        if item.kind == "->":
            self._see_arrow(i)
        self._add(text)
        if item.trailing:
            self._add("  " + item.trailing)

    def _add(self, text: str) -> None:
        self.words.append(text)
        self.column += len(text)

    def _see_arrow(self, i: int) -> None:
        chain = self.chains[i]
        if chain.first == i:
            self.frames[-1].arrow_column = self.column
        if not chain.is_broken and chain.last != chain.first:
            self.candidates.append((chain.last - chain.first, chain.first))

    def _keep_frames(self, i: int) -> None:
        kind, frame = self.items[i].kind, self.frames[-1]
        if kind == "choice":
            frame.awaits_choice = True
        elif kind in CLOSES:
            self.frames.pop()
        elif kind in OPENS:
            self._open(i)

    def _open(self, i: int) -> None:
        frame, kind, closes_at = self.frames[-1], self.items[i].kind, self.closers[i]
        is_choice = kind == "{" and frame.awaits_choice
        is_body = kind == "{" and not is_choice and self._in_body()
        indent = (frame.indent if is_body else self.indent) + INDENT
        is_broken = i in self.broken
        if kind == "{":
            frame.awaits_choice = False
        if not is_broken and closes_at > i + 1:
            self.candidates.append((closes_at - i, i))
        self.frames.append(Frame(i, closes_at, indent, is_broken, is_choice))


def item_is_index(items: list[Item], opener: int) -> bool:
    return items[opener].kind == "[" and items[opener - 1].kind in ENDS_VALUE


def docstring(text: str, indent: int) -> str:
    """A docstring at its place; one of several lines ends on a line of its own."""
    lines = [line.rstrip() for line in inspect.cleandoc(text[3:-3]).rstrip().split("\n")]
    if len(lines) == 1:
        before, after = (" " * lines[0].startswith('"'), " " * lines[0].endswith('"'))
        return f'"""{before}{lines[0]}{after}"""'
    margin = " " * indent
    # Without a line at the margin below it, the first line must stand below the quotes to keep its place.
    below = all(line.startswith(" ") for line in lines[1:] if line)
    first = f"\n{margin}" if below else " " * lines[0].startswith('"')
    rest = [margin + line if line else "" for line in lines[1:]]
    return "\n".join(['"""' + first + lines[0], *rest, margin + '"""'])
