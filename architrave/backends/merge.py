"""Definitions that differ in numbers alone become one, with the numbers as arguments.

The texts are our own, so that their tokens are known: strings, comments, names and numbers. Two texts are alike
when they are equal but for comments and the values of numbers and truth values. A number that differs gets the
name of the static argument of the `.arch` block that has this value in each definition, else of its role in the
call that it stands in. A number that is always the same multiple of another one is written so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from architrave.backends.names import Names, identifier

_TOKEN = re.compile(
    r"""(?P<literal>\b(?:True|False)\b|\b\d+(?:\.\d*)?(?:e[+-]?\d+)?)"""
    r"""|(?P<skip>\"\"\".*?\"\"\"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[A-Za-z_]\w*|\ \ \#[^\n]*)""",
    re.DOTALL | re.VERBOSE,
)
_ROLES = {
    "nn.Linear": ("in_features", "out_features"),
    "nn.Embedding": ("count", "width"),
    "nn.LayerNorm": ("width",),
    "nn.GroupNorm": ("groups", "channels"),
    "BatchNorm": ("channels",),
    **{f"nn.Conv{n}d": ("in_channels", "out_channels", "kernel_size") for n in (1, 2, 3)},
    **{f"nn.ConvTranspose{n}d": ("in_channels", "out_channels", "kernel_size") for n in (1, 2, 3)},
}
MOST = 10
"""A definition with more arguments than this is no easier to read than several."""

Number = int | float | bool


@dataclass(frozen=True)
class Template:
    """A text with holes for its numbers."""

    pieces: tuple[str, ...]
    """The text before, between and after the numbers."""
    shape: tuple[str, ...]
    """The same without comments."""
    numbers: tuple[str, ...]

    def filled(self, holes: Sequence[str]) -> str:
        parts = [self.pieces[0]]
        for hole, piece in zip(holes, self.pieces[1:], strict=True):
            parts += [hole, piece]
        return "".join(parts)


def template(text: str) -> Template:
    """Cut a text at its numbers."""
    pieces: list[str] = []
    numbers: list[str] = []
    start = 0
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "literal":
            pieces.append(text[start : match.start()])
            numbers.append(match.group())
            start = match.end()
    pieces.append(text[start:])
    return Template(tuple(pieces), tuple(map(_without_comments, pieces)), tuple(numbers))


@dataclass(frozen=True)
class Merged:
    """One text for several, the names of its arguments, and their values for each of the texts."""

    text: Callable[[Mapping[str, str]], str]
    """The text; what is given says how an argument is written, by its name, if not by the name alone."""
    parameters: tuple[str, ...]
    arguments: tuple[tuple[str, ...], ...]


def merge(templates: Sequence[Template], static: Sequence[Mapping[str, object]], taken: Names) -> Merged | None:
    """The templates, which are alike, as one; None where that would take too many arguments.

    `static` are the static arguments of the blocks that the texts were written for.
    """
    columns = list(zip(*(t.numbers for t in templates), strict=True))
    first = templates[0]
    names: dict[tuple[str, ...], str] = {}
    holes: list[str | tuple[str, int]] = []
    used = Names(("self", "x"))
    for position, column in enumerate(columns):
        if len(set(column)) == 1:
            holes.append(column[0])
            continue
        factor = _multiple(column, names)
        if column not in names and factor is not None:
            holes.append(factor)
            continue
        if column not in names:
            wanted = _static_name(column, static) or _role(first.pieces, position)
            names[column] = used.fresh(identifier(wanted, "number"))
        holes.append((names[column], 1))
    if len(names) > MOST:
        return None

    def text(written: Mapping[str, str]) -> str:
        filled: list[str] = []
        for position, hole in enumerate(holes):
            if isinstance(hole, str):
                filled.append(hole)
                continue
            name, times = hole
            shown = written.get(name, name)
            alone = _stands_alone(first.pieces, position)
            filled.append(shown if times == 1 else f"{times} * {shown}" if alone else f"({times} * {shown})")
        return first.filled(filled)

    rows = tuple(tuple(column[i] for column in names) for i in range(len(templates)))
    return Merged(text, tuple(names.values()), rows)


def unmerged(only: Template) -> Merged:
    """A text that stays by itself."""
    return Merged(lambda _: only.filled(only.numbers), (), ((),))


def _without_comments(piece: str) -> str:
    return re.sub(r"  # \S+:\d+$", "", piece, flags=re.MULTILINE)


def _multiple(column: Sequence[str], names: Mapping[tuple[str, ...], str]) -> tuple[str, int] | None:
    """The argument that a column of integers is a multiple of, and the factor."""
    values = [_value(text) for text in column]
    for other, name in names.items():
        factors = {_factor(value, _value(text)) for value, text in zip(values, other, strict=True)}
        if len(factors) == 1 and (factor := factors.pop()) is not None:
            return name, factor
    return None


def _factor(value: Number, of: Number) -> int | None:
    both = type(value) is int and type(of) is int
    return value // of if both and of > 1 and value > of and value % of == 0 else None  # type: ignore[return-value]


def _static_name(column: Sequence[str], static: Sequence[Mapping[str, object]]) -> str | None:
    values = [_value(text) for text in column]
    for name in static[0]:
        given = [arguments.get(name) for arguments in static]
        if all(type(a) is type(b) and a == b for a, b in zip(given, values, strict=True)):
            return name
    return None


def _role(pieces: Sequence[str], position: int) -> str:
    """What a number is for, from the text before it: its keyword, or its place in a call that is known."""
    before = pieces[position]
    keyword = re.search(r"(\w+)=~?\(?$", before)
    if keyword is not None:
        return keyword.group(1)
    line = "0".join(pieces[: position + 1]).rpartition("\n")[2]
    callee = re.search(r"([\w.]+)\(([^()]*)$", line)
    if callee is None:
        return "size"
    roles = _ROLES.get(callee.group(1), ())
    place = callee.group(2).count(",")
    return roles[place] if place < len(roles) else "size"


def _stands_alone(pieces: Sequence[str], position: int) -> bool:
    return bool(re.search(r"[(,=~\[]\s*$", pieces[position])) and bool(re.match(r"\s*[),\]\n]", pieces[position + 1]))


def _value(text: str) -> Number:
    match text:
        case "True" | "False":
            return text == "True"
        case _:
            return int(text) if text.isdigit() else float(text)
