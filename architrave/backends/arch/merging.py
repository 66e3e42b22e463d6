"""Blocks that differ in numbers alone become one: with sizes that its inputs' types bind, and static arguments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from architrave.backends.arch.scope import axis_name
from architrave.backends.names import Names
from architrave.ir.notation import KEYWORDS, identifier

_TOKEN = re.compile(
    r"""(?P<literal>\b(?:true|false)\b|(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?)"""
    r"""|"(?:\\.|[^"\\])*"|[A-Za-z_]\w*""",
)
MOST = 10
"""A block with more arguments than this is no easier to read than several."""


@dataclass(frozen=True)
class Template:
    """A text with holes for its numbers."""

    pieces: tuple[str, ...]
    """The text before, between and after the numbers."""
    numbers: tuple[str, ...]
    sizes: int
    """How many of the numbers stand in the types of the inputs."""

    @property
    def shape(self) -> tuple[object, ...]:
        """What must be equal in texts that become one."""
        return (self.pieces, tuple(map(_kind, self.numbers)))

    def filled(self, holes: Sequence[str]) -> list[str]:
        parts = [self.pieces[0]]
        for hole, piece in zip(holes, self.pieces[1:], strict=True):
            parts += [hole, piece]
        return "".join(parts).split("\n")


@dataclass(frozen=True)
class Merged:
    """One text for several, its static parameters with their types, and their values for each of the texts."""

    lines: list[str]
    parameters: tuple[tuple[str, str], ...]
    arguments: tuple[tuple[str, ...], ...]

    @staticmethod
    def single(text: Template) -> Merged:
        """A text that stays by itself."""
        return Merged(text.filled(text.numbers), (), ((),))


def template(lines: Sequence[str]) -> Template:
    """Cut a text at its numbers; the first line is that of the inputs."""
    text = "\n".join(lines)
    pieces: list[str] = []
    numbers: list[str] = []
    start = 0
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "literal":
            pieces.append(text[start : match.start()])
            numbers.append(match.group())
            start = match.end()
    pieces.append(text[start:])
    sizes = sum(1 for m in _TOKEN.finditer(lines[0]) if m.lastgroup == "literal")
    return Template(tuple(pieces), tuple(numbers), sizes)


def merged(texts: Sequence[Template], static: Sequence[Mapping[str, object]]) -> Merged | None:
    """Texts of one shape as one; None where that would take too many arguments.

    `static` are the static arguments of the blocks that the texts were written for. A number in the type of an input
    that differs is bound there by a name. Any other gets the name of the static argument that has its value in each
    block, else of its role; one that is a multiple of another is written so.
    """
    first = texts[0]
    columns = list(zip(*(t.numbers for t in texts), strict=True))
    names = Names((*KEYWORDS, *_names("0".join(first.pieces))))
    bound: dict[tuple[str, ...], str] = {}
    axes: dict[tuple[str, tuple[str, ...]], str] = {}
    parameters: dict[tuple[str, ...], str] = {}
    holes: list[str] = []
    for position, column in enumerate(columns):
        known = bound.get(column) or parameters.get(column)
        if len(set(column)) == 1:
            holes.append(column[0])
        elif position < first.sizes:
            # One name for each axis: that height and width are equal says nothing about the block.
            label = _axis(first.pieces, position)
            if (label, column) not in axes:
                axes[label, column] = names.fresh(label)
            holes.append(axes[label, column])
            bound.setdefault(column, holes[-1])
        elif known is not None:
            holes.append(known)
        elif (multiple := _multiple(column, {**bound, **parameters})) is not None:
            holes.append(_alone(multiple, first.pieces, position))
        else:
            wanted = _static_name(column, static) or _role(first.pieces[position])
            parameters[column] = names.fresh(identifier(wanted))
            holes.append(parameters[column])
    if len(parameters) > MOST:
        return None
    rows = tuple(tuple(column[i] for column in parameters) for i in range(len(texts)))
    typed = tuple((name, _kind(column[0])) for column, name in parameters.items())
    return Merged(first.filled(holes), typed, rows)


def _names(text: str) -> list[str]:
    """What a text calls its variables, blocks and functions: names but those of arguments and operators."""
    plain = re.sub(r'"(?:\\.|[^"\\])*"', "", text)
    lines = (
        line if "carry (" in line else re.sub(r"(?<=[(,] )\w+ = |(?<=\()\w+ = ", "", line) for line in plain.split("\n")
    )
    return re.findall(r"(?<![\w.])[A-Za-z_]\w*", "\n".join(lines))


def _kind(number: str) -> str:
    """The type of a static parameter."""
    if number in ("true", "false"):
        return "bool"
    return "int" if number.isdigit() else "float"


def _axis(pieces: Sequence[str], position: int) -> str:
    """A name for the size at a position among the types of the inputs."""
    before = "0".join(pieces[: position + 1]).rpartition("[")[2]
    after = "0".join(pieces[position + 1 :]).partition("]")[0]
    axis = before.count(",")
    return axis_name(0, axis, axis + after.count(",") + 1)


def _multiple(column: Sequence[str], names: Mapping[tuple[str, ...], str]) -> str | None:
    """The column as a multiple of one that has a name."""
    if _kind(column[0]) != "int":
        return None
    for other, name in names.items():
        if _kind(other[0]) != "int" or any(int(b) < 2 or int(a) % int(b) for a, b in zip(column, other, strict=True)):
            continue
        factors = {int(a) // int(b) for a, b in zip(column, other, strict=True)}
        if len(factors) == 1 and (factor := factors.pop()) > 1:
            return f"{factor} * {name}"
    return None


def _alone(text: str, pieces: Sequence[str], position: int) -> str:
    alone = re.search(r"(?:[(,\[]|[^=!<>]=) ?$", pieces[position]) and re.match(r"[),\]\n]", pieces[position + 1])
    return text if alone else f"({text})"


def _static_name(column: Sequence[str], static: Sequence[Mapping[str, object]]) -> str | None:
    """The static argument that has these values."""
    values = [_value(text) for text in column]
    for name in static[0]:
        given = [arguments.get(name) for arguments in static]
        if all(type(a) is type(b) and a == b for a, b in zip(given, values, strict=True)):
            return name
    return None


def _role(before: str) -> str:
    """What a number is for, by the keyword before it."""
    keyword = re.search(r"(\w+) = [(\[]*$", before)
    return keyword.group(1) if keyword is not None else "size"


def _value(text: str) -> object:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.isdigit() else float(text)
