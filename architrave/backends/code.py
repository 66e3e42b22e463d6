"""Expressions of emitted programs: their text, and how tightly they bind."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from architrave.ir.dims import Dim

# How tightly an expression binds, as in Python's grammar. An operand in a looser expression gets parentheses.
TUPLE = 0
CONDITIONAL = 1
OR = 2
AND = 3
NOT = 4
COMPARE = 5
BIT_OR = 6
BIT_XOR = 7
BIT_AND = 8
SHIFT = 9
SUM = 10
PRODUCT = 11
UNARY = 12
POWER = 13
ATOM = 14

_LEVELS = {
    "or": OR,
    "and": AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "is"), COMPARE),
    "|": BIT_OR,
    "^": BIT_XOR,
    "&": BIT_AND,
    **dict.fromkeys(("<<", ">>"), SHIFT),
    **dict.fromkeys(("+", "-"), SUM),
    **dict.fromkeys(("*", "/", "//", "%", "@"), PRODUCT),
    "**": POWER,
}


@dataclass(frozen=True, slots=True)
class Code:
    """An expression. `number` is its value where it is a Python scalar, typed weakly: a literal, or a size."""

    text: str
    level: int = ATOM
    number: float | int | bool | Dim | None = None

    def at(self, level: int) -> str:
        """The text where `level` is needed: in parentheses if this expression binds less tightly."""
        return self.text if self.level >= level else f"({self.text})"

    @property
    def atom(self) -> str:
        """The text where an attribute, an index or a call may follow it."""
        return self.at(ATOM) if self.number is None else f"({self.text})"

    def __str__(self) -> str:
        return self.text


def is_at_least(x: Code, least: int) -> bool:
    """Whether it is an integer in the text, and no smaller than `least`."""
    return isinstance(x.number, int) and x.number >= least


def infix(a: Code, operator: str, b: Code) -> Code:
    """`a operator b`, with the parentheses that keep this reading."""
    level = _LEVELS[operator]
    if level == POWER:
        return Code(f"{a.at(ATOM)} ** {b.at(UNARY)}", POWER)
    # Comparisons chain in Python, so that neither side may be one.
    left = level + 1 if level == COMPARE else level
    return Code(f"{a.at(left)} {operator} {b.at(level + 1)}", level)


def prefix(operator: str, a: Code) -> Code:
    """`-a`, `~a` or `not a`."""
    if operator == "not":
        return Code(f"not {a.at(NOT)}", NOT)
    return Code(f"{operator}{a.at(UNARY)}", UNARY)


def call(function: str, *arguments: Code | str | None, **options: Code | str) -> Code:
    """`function(arguments, option=...)`; an argument that is None is left out."""
    given = [str(a) for a in arguments if a is not None]
    return Code(f"{function}({', '.join([*given, *(f'{k}={v}' for k, v in options.items())])})")


def method(receiver: Code, name: str, *arguments: Code | str, **options: Code | str) -> Code:
    """`receiver.name(arguments, option=...)`."""
    return call(f"{receiver.atom}.{name}", *arguments, **options)


def subscript(receiver: Code, index: str) -> Code:
    """`receiver[index]`."""
    return Code(f"{receiver.atom}[{index}]")


def sequence(items: Iterable[object]) -> str:
    """A tuple of expressions, `(a, b)` or `(a,)`."""
    texts = [str(i) for i in items]
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


def literal(value: object) -> Code:
    """A number, truth value, string, None or a list or tuple of such as Python source.

    Raises TypeError for anything else: nothing but these may come from a `.arch` file into a program.
    """
    match value:
        case bool() | None:
            return Code(repr(value), number=value)
        case int():
            return Code(repr(value), UNARY if value < 0 else ATOM, value)
        case float() if math.isnan(value):
            return Code("float('nan')", number=value)
        case float() if math.isinf(value):
            text = "float('inf')" if value > 0 else "-float('inf')"
            return Code(text, UNARY if value < 0 else ATOM, value)
        case float():
            text = repr(float(value))
            return Code(text, UNARY if text.startswith("-") else ATOM, value)
        case str():
            return Code(text_literal(value))
        case tuple():
            return Code(sequence(map(literal, value)))  # pyright: ignore[reportUnknownArgumentType]  # checked in turn
        case list():
            items = map(str, map(literal, value))  # pyright: ignore[reportUnknownArgumentType]  # checked in turn
            return Code(f"[{', '.join(items)}]")
        case _:
            raise TypeError(f"a {type(value).__name__} has no literal")


def text_literal(text: str) -> str:
    """A string as Python source: double quotes where possible, ASCII, and one line."""
    quoted = ascii(text)
    if quoted.startswith("'") and '"' not in quoted and "\\'" not in quoted:
        return f'"{quoted[1:-1]}"'
    return quoted
