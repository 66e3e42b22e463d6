"""Syntax errors as sentences."""

from __future__ import annotations

from architrave.dsl.lexer import Token
from architrave.ir.source import Diagnostic, Source, Span


def explain(source: Source, symbols: list[tuple[str, Span]], token: Token, expected: frozenset[str]) -> Diagnostic:
    span = Span(source, token[1], token[2])
    return Diagnostic("E100", f"unexpected {token[0]!r}; stack {[s for s, _ in symbols]}; expected {sorted(expected)}", span)
