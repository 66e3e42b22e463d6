"""The canonical layout of `.arch` text.

The formatter works on tokens, not on the tree, so that comments stay where they were. It decides the spaces, the
indentation and the blank lines; where lines break inside a statement is the writer's choice, with these limits:

- a bracket that holds a break begins and ends its lines with the brackets themselves;
- a pipe with one break has one stage per line, the arrows below the first one;
- a line longer than `WIDTH` breaks at its pipe, else at the commas of its outermost bracket.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

from architrave.dsl.lexer import CLOSES, OPENS, scan, tokens
from architrave.dsl.parser import parse
from architrave.dsl.spacing import ENDS_VALUE, gap
from architrave.ir.source import Diagnostic, Source

WIDTH = 100
INDENT = 4
IMPORTS = ("from", "import")
FARTHEST_ARROW = 60
"""Arrows further right than this are not aligned with."""


def format_source(source: Source) -> str:
    """The same program in the canonical layout; formatting twice changes nothing more.

    Raises `ArchitraveError` where the text does not parse.
    """
    parse(source)
    items = read_items(source)
    forced: set[int] = set()
    while True:
        lines = Layout(items, forced).run()
        remedies = {remedy for line in lines if len(line.text) > WIDTH for remedy in line.remedies[:1]} - forced
        if not remedies:
            return assemble(lines)
        forced |= remedies


@dataclass(slots=True)
class Item:
    """One token, with the comments before it and the one that ends its line."""

    kind: str
    text: str
    newlines: int = 0
    """How many line ends stand before the token, or before its comments."""
    comments: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    """The comments on lines of their own, each with the number of line ends before it."""
    trailing: str = ""
    starts_statement: bool = False
    follows_annotation: bool = False
    """An annotation on a line of its own belongs to this statement."""


def read_items(source: Source) -> list[Item]:
    """The tokens of a text that parses; the last one is `END`."""
    comments = [token for token in scan(source.text) if token[0] == "COMMENT"]
    comments.reverse()
    items: list[Item] = []
    starts_statement, last_end = True, 0
    for kind, start, end in tokens(source, _cannot_happen):
        if kind == "NEWLINE":
            starts_statement = True
            continue
        item = Item(kind, source.text[start:end], starts_statement=starts_statement)
        while comments and comments[-1][1] < start:
            _, at, comment_end = comments.pop()
            newlines = source.text.count("\n", last_end, at)
            text = source.text[at:comment_end].rstrip()
            if newlines or not items:
                item.comments.append((text, newlines))
            else:
                items[-1].trailing = text
            last_end = comment_end
        item.newlines = source.text.count("\n", last_end, start)
        starts_statement, last_end = False, end
        if item.kind in ("SIGN", "*") and (not items or items[-1].kind not in ENDS_VALUE):
            item.kind = "PREFIX"
        items.append(item)
    _mark_annotations(items)
    return items


def _cannot_happen(diagnostic: Diagnostic) -> None:
    raise AssertionError(f"text that parses has no lexical errors: {diagnostic}")


def _mark_annotations(items: list[Item]) -> None:
    for i, item in enumerate(items):
        if item.kind != "@" or not (item.starts_statement or item.follows_annotation or _opens_body(items, i)):
            continue
        after = i + 2
        if items[after].kind == "(" and not items[after].starts_statement:
            after = _closing(items, after) + 1
        item.kind = "ANNOTATION"
        items[after].follows_annotation = True


def _opens_body(items: list[Item], i: int) -> bool:
    return i > 0 and items[i - 1].kind == "{"


def _closing(items: list[Item], opener: int) -> int:
    depth = 0
    for i in range(opener, len(items)):
        depth += (items[i].kind in OPENS) - (items[i].kind in CLOSES)
        if depth == 0:
            return i
    return len(items) - 1


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


@dataclass(slots=True)
class Chain:
    """The arrows of one pipe, by the places of the first and the last."""

    first: int
    last: int
    is_broken: bool


def measure(items: list[Item], forced: set[int]) -> tuple[dict[int, int], set[int], dict[int, Chain]]:
    """Where each bracket closes, which of them hold a break, and the pipe of each arrow."""
    closers: dict[int, int] = {}
    broken: set[int] = set()
    chains: dict[int, Chain] = {}
    opened: list[int] = [-1]
    current: dict[int, Chain | None] = {}
    for i, item in enumerate(items):
        frame = opened[-1]
        breaks = bool(i and (item.newlines or item.comments)) and item.kind != "END"
        if item.starts_statement or item.kind in (",", "=", ":=", "=>"):
            current[frame] = None
        if item.kind == "->":
            chain = current.get(frame) or Chain(i, i, i in forced)
            chain.last = i
            chain.is_broken = chain.is_broken or breaks
            breaks = breaks or (i in forced)
            chains[i] = current[frame] = chain
        if breaks:
            _mark_broken(items, opened, broken)
        if item.kind in OPENS:
            opened.append(i)
            if i in forced:
                _mark_broken(items, opened, broken)
        elif item.kind in CLOSES:
            closers[opened.pop()] = i
    return closers, broken, chains


def _mark_broken(items: list[Item], opened: list[int], broken: set[int]) -> None:
    """A break belongs to the innermost bracket, and to all braces around it."""
    if opened[-1] >= 0:
        broken.add(opened[-1])
    for opener in reversed(opened):
        if opener >= 0 and items[opener].kind == "{":
            broken.add(opener)


def item_is_index(items: list[Item], opener: int) -> bool:
    return items[opener].kind == "[" and items[opener - 1].kind in ENDS_VALUE


def docstring(text: str, indent: int) -> str:
    """A docstring at its place; one of several lines ends on a line of its own."""
    lines = [line.rstrip() for line in inspect.cleandoc(text[3:-3]).rstrip().split("\n")]
    first = (" " if lines[0].startswith('"') else "") + lines[0]
    if len(lines) == 1:
        return f'"""{first}{" " if first.endswith(chr(34)) else ""}"""'
    rest = [" " * indent + line if line else "" for line in lines[1:]]
    return "\n".join(['"""' + first, *rest, " " * indent + '"""'])


def assemble(lines: list[Line]) -> str:
    """The text, with a blank line after each declaration of several lines and after the imports."""
    kind, code_lines = "", 0
    for line in lines:
        if line.starts_declaration:
            ends_imports = kind in IMPORTS and line.starts_declaration not in {*IMPORTS, "END"}
            line.blank_before = line.blank_before or code_lines > 1 or ends_imports
            kind, code_lines = line.starts_declaration, 0
        if not line.is_comment:
            code_lines += line.text.count("\n") + 1
    return "".join("\n" * (line.blank_before and i > 0) + line.text + "\n" for i, line in enumerate(lines))
