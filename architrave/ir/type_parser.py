"""Tensor types from text: `f32[N, 3, H, (W - 1)//2 + 1]`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from architrave.ir.dims import Size, divide, floor_div, symbol
from architrave.ir.source import ArchitraveError, error, nearest
from architrave.ir.types import DType, TensorType

_TYPE = re.compile(r"\s*(?P<dtype>\w*)\s*\[(?P<sizes>.*)\]\s*", re.DOTALL)
_TOKEN = re.compile(r"\s*(?:(?P<number>\d[\d_]*)|(?P<name>[A-Za-z_]\w*)|(?P<sign>//|[-+*/()]))", re.ASCII)
_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "negative": 3}
_DIGITS = 18

Token = tuple[str, str]


def parse_type(text: str) -> TensorType:
    """The type that `text` says. Without a dtype it is FLOAT, the precision that the run chooses.

    A size is an integer, a symbol, or an expression of these with `+ - * / //` and parentheses, as types
    print; `/` divides exactly. Raises E219 for text that is not a type.
    """
    match = _TYPE.fullmatch(text)
    if match is None:
        raise _malformed(text, "a type is a dtype and sizes in brackets, such as `f32[N, 3]`")
    name = match["dtype"] or DType.FLOAT.value
    dtype = next((d for d in DType if d.value == name), None)
    if dtype is None:
        raise _malformed(text, f"there is no dtype `{name}`", nearest(name, [d.value for d in DType]))
    sizes = match["sizes"].strip()
    return TensorType(dtype, tuple(_size(text, part) for part in sizes.split(",")) if sizes else ())


def _size(text: str, part: str) -> Size:
    """One size, by the shunting-yard algorithm: no nesting is too deep."""
    values: list[Size] = []
    signs: list[str] = []

    def reduce(strength: int) -> None:
        while signs and _STRENGTH.get(signs[-1], 0) >= strength:
            _apply(text, signs.pop(), values)

    operand_next = True
    for kind, token in _tokens(text, part):
        starts = kind != "sign" or token == "("
        if starts != operand_next and not (operand_next and token == "-"):
            raise _malformed(text, f"`{token}` does not belong there")
        match kind, token:
            case "number", _:
                values.append(_number(text, token))
                operand_next = False
            case "name", _:
                values.append(symbol(token))
                operand_next = False
            case _, "(":
                signs.append(token)
            case _, ")":
                reduce(1)
                if not signs:
                    raise _malformed(text, "a `)` has no `(`")
                signs.pop()
            case _, "-" if operand_next:
                signs.append("negative")
            case _:
                reduce(_STRENGTH[token])
                signs.append(token)
                operand_next = True
    if operand_next:
        raise _malformed(text, "a size is not complete")
    reduce(1)
    if signs:
        raise _malformed(text, "a `(` has no `)`")
    (size,) = values
    if isinstance(size, int) and size < 0:
        raise _malformed(text, f"a size must be at least 0, not {size}")
    return size


def _tokens(text: str, part: str) -> Iterator[Token]:
    position, end = 0, len(part.rstrip())
    while position < end:
        match = _TOKEN.match(part, position)
        if match is None or match.lastgroup is None:
            raise _malformed(text, f"`{part[position:].strip()[:1]}` cannot stand in a size")
        yield match.lastgroup, match[match.lastgroup]
        position = match.end()


def _number(text: str, token: str) -> int:
    if len(token) > _DIGITS:
        raise _malformed(text, f"a size has more than {_DIGITS} digits")
    return int(token.rstrip("_").replace("_", ""))


def _apply(text: str, sign: str, values: list[Size]) -> None:
    b = values.pop()
    if sign == "negative":
        values.append(-b)
        return
    result = _OPERATIONS[sign](values.pop(), b) if b != 0 or "/" not in sign else None
    if result is None:
        raise _malformed(text, f"`{sign} {b}` does not work out exactly")
    values.append(result)


_OPERATIONS: dict[str, Callable[[Size, Size], Size | None]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": divide,
    "//": floor_div,
}


def _malformed(text: str, why: str, hint: str | None = None) -> ArchitraveError:
    return error("E219", f"`{text[:80]}` is not a tensor type: {why}", hint=hint)
