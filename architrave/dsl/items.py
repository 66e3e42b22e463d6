"""The tokens of a text with their comments, as the formatter sees them, and which brackets and pipes hold breaks."""

from __future__ import annotations

from dataclasses import dataclass, field

from architrave.dsl.lexer import CLOSES, OPENS, scan, tokens
from architrave.dsl.spacing import ENDS_VALUE
from architrave.ir.source import Diagnostic, Source


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
