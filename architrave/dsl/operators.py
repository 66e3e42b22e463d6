"""How strongly operators bind: a flat chain of operands and operators becomes a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from architrave.dsl.lexer import Report, Token
from architrave.dsl.syntax import Binary, Expression, Range, Unary
from architrave.ir.source import Diagnostic, Source, Span

COMPARISON, RANGE, POWER = 4, 5, 9
BINARY = (
    {"or": 1, "and": 2, "..": RANGE, "**": POWER}
    | dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), COMPARISON)
    | dict.fromkeys("+-", 6)
    | dict.fromkeys(("*", "/", "//", "%", "@"), 7)
)
PREFIX = {"not": 3, "-": 8, "+": 8}
"""The higher number binds first: `-x ** 2` is `-(x ** 2)`, `not a == b` is `not (a == b)`."""

NOT_CHAINED = {
    COMPARISON: ("E121", "comparisons do not chain", "write `a < b and b < c`"),
    RANGE: ("E121", "ranges do not chain", "a range has one start and one end: `a..b`"),
}

Item: TypeAlias = Expression | Token
"""An operand, or the token of an operator."""


def fold(items: Sequence[Item], source: Source, report: Report) -> Expression:
    """The tree of `[prefix..., operand, operator, prefix..., operand, ...]`.

    Operators of other languages, which the lexer has reported, bind like nothing in particular.
    """
    operands: list[Expression] = []
    pending: list[tuple[int, str, Span, bool]] = []
    after_operand = False
    for item in items:
        if not isinstance(item, tuple):
            operands.append(item)
            after_operand = True
            continue
        span = Span(source, item[1], item[2])
        sign = span.text
        if not after_operand:
            pending.append((PREFIX.get(sign, 0), sign, span, True))
            continue
        binding = BINARY.get(sign, 0)
        while pending and (pending[-1][0] > binding or pending[-1][0] == binding != POWER):
            if pending[-1][0] == binding in NOT_CHAINED:
                code, message, hint = NOT_CHAINED[binding]
                report(Diagnostic(code, message, span, hint=hint))
            _apply(pending, operands)
        pending.append((binding, sign, span, False))
        after_operand = False
    while pending:
        _apply(pending, operands)
    return operands[0]


def _apply(pending: list[tuple[int, str, Span, bool]], operands: list[Expression]) -> None:
    _, sign, span, is_prefix = pending.pop()
    right = operands.pop()
    if is_prefix:
        operands.append(Unary(sign, right, span=span.to(right.span)))
        return
    left = operands.pop()
    whole = left.span.to(right.span)
    if sign == "..":
        operands.append(Range(left, right, span=whole))
    else:
        operands.append(Binary(sign, left, right, span, span=whole))
