"""Text to syntax tree.

Lark turns grammar.lark into LALR tables once (`python -m architrave.dsl.parser --write`); at run time the loop
below reads them from grammar.json, so that no grammar is analysed and lark itself is not imported. The loop
keeps its own stack: no input can exhaust Python's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from architrave.dsl.declarations import Builder
from architrave.dsl.lexer import TOP_LEVEL, Token, tokens
from architrave.dsl.mistakes import explain
from architrave.dsl.syntax import MAX_DEPTH, Call, Const, Evaluate, File, Identifier, Name
from architrave.dsl.tables import dump_tables, load_tables
from architrave.ir.memory import collector_paused
from architrave.ir.source import ArchitraveError, Diagnostic, Source, Span, error

MAX_ERRORS = 20
MAX_SIZE = 8 << 20
"""The most characters that a file may have."""
MAX_STACK = 8 * MAX_DEPTH
"""The most symbols that may wait at once; brackets and prefixes that make no node are bounded by this alone."""

# These make no node, so they do not make the tree deeper.
SHALLOW = "first append keep optional_list trailing_comma operator dimension"

Entry: TypeAlias = tuple[int, object, int, int, int]
"""State, value, start, end and the depth of the value."""


@collector_paused()
def parse(source: Source) -> File:
    """The syntax tree of a file.

    Raises `ArchitraveError` with a diagnostic for each mistake found, up to `MAX_ERRORS`: the parser goes on
    after an error at the next statement or declaration.
    """
    if len(source.text) > MAX_SIZE:
        raise error("E106", f"{source.name} has {len(source.text):,} characters; the limit is {MAX_SIZE:,}")
    return Parser(source).run()


class TooManyErrors(Exception):
    """The rest of the file is not worth reading."""


class Parser:
    """One run over one file."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tables = load_tables()
        self.errors: list[Diagnostic] = []
        self.bad_line = 0
        self.stack: list[Entry] = [(self.tables.start, None, 0, 0, 0)]
        self.tokens = tokens(source, self._report_token)
        builder = Builder(source, self.report)
        self.actions: list[Callable[..., object] | None] = [
            None if rule.action is None else getattr(builder, rule.action) for rule in self.tables.rules
        ]
        shallow = frozenset(SHALLOW.split())
        self.deepens = [rule.action not in shallow for rule in self.tables.rules]

    def report(self, diagnostic: Diagnostic) -> None:
        self.errors.append(diagnostic)
        if len(self.errors) >= MAX_ERRORS:
            raise TooManyErrors

    def run(self) -> File:
        file = None
        with suppress(TooManyErrors):
            file = self._parse()
        if file is None or self.errors:
            raise ArchitraveError(sorted(self.errors, key=lambda each: each.span.start if each.span else 0))
        return file

    def _parse(self) -> File | None:
        stack, moves = self.stack, self.tables.moves
        token = next(self.tokens)
        while True:
            kind, start, end = token
            while (move := moves[stack[-1][0]].get(kind)) is not None and move < 0:
                self._reduce(~move, kind)
            if move is None:
                recovered = self._recover(token)
                if recovered is None:
                    return None
                token = recovered
                continue
            if kind == "END":
                file = stack[-1][1]
                assert isinstance(file, File)
                return file
            stack.append((move, token, start, end, 0))
            if len(stack) > MAX_STACK:
                self._too_deep(start, end)
            token = next(self.tokens)

    def _reduce(self, number: int, kind: str) -> None:
        """Replace the symbols of a rule by what its action makes of them, and pass the unit rules that follow."""
        stack, rule = self.stack, self.tables.rules[number]
        children = stack[-rule.length :] if rule.length else []
        del stack[len(stack) - rule.length :]
        start, end, depth = (children[0][2], children[-1][3], 0) if children else (0, 0, 0)
        for child in children:
            if child[4] > depth:
                depth = child[4]
        depth += self.deepens[number]
        if depth > MAX_DEPTH:
            self._too_deep(start, end)
        action = self.actions[number]
        if action is None:
            value = children[0][1]
        else:
            picked = [None if i < 0 else children[i][1] for i in rule.picks]
            value = action(Span(self.source, start, end), *picked)
        key = (stack[-1][0], rule.origin, kind)
        state = SETTLED.get(key)
        if state is None:
            state = SETTLED[key] = self._settle(*key)
        stack.append((state, value, start, end, depth))

    def _settle(self, below: int, origin: str, kind: str) -> int:
        """The state that the symbol `origin` on top of the state `below` leads to, once every rule that only
        renames it (`atom: bare`) has been applied. With a dozen of these for each name, this is worth keeping.
        """
        while True:
            state = self.tables.moves[below][origin]
            move = self.tables.moves[state].get(kind)
            if move is None or move >= 0:
                return state
            rule = self.tables.rules[~move]
            if rule.action is not None or rule.length != 1:
                return state
            origin = rule.origin

    # -------------------------------------------------------- errors

    def _report_token(self, diagnostic: Diagnostic) -> None:
        assert diagnostic.span is not None
        self.bad_line = diagnostic.span.line
        self.report(diagnostic)

    def _too_deep(self, start: int, end: int) -> None:
        hint = "give the inner parts names of their own; put long sums into `sum([...])`"
        span = Span(self.source, start, end)
        self.errors.append(Diagnostic("E106", f"this is nested too deeply (limit {MAX_DEPTH})", span, hint=hint))
        raise TooManyErrors

    def _recover(self, token: Token) -> Token | None:
        """Report what is wrong with `token` and give up the statement around it. Returns the token to go on with."""
        kind, start, end = token
        if Span(self.source, start, end).line != self.bad_line:
            self.report(explain(self.source, self._symbols(), token, self._expected()))
        if kind == "END":
            return None
        if self._begins_declaration(token):
            return self._back_to_top(token)
        depth = self._give_up_statement()
        while kind != "END" and not (depth == 0 and self._is_boundary(kind)):
            if self._begins_declaration(token):
                return self._back_to_top(token)
            depth += (kind == "{") - (kind == "}" and depth > 0)
            token = next(self.tokens)
            kind = token[0]
        return token

    def _give_up_statement(self) -> int:
        """Put a placeholder where the innermost statement or declaration began; how many braces it had open."""
        depth = 0
        while True:
            state = self.stack[-1][0]
            for symbol, placeholder in PLACEHOLDERS.items():
                if symbol in self.tables.moves[state]:
                    at = self.stack[-1][3]
                    value = placeholder(Span(self.source, at, at))
                    self.stack.append((self.tables.moves[state][symbol], value, at, at, 0))
                    return depth
            depth += {"{": 1, "}": -1}.get(self.tables.symbols[state], 0)
            self.stack.pop()

    def _is_boundary(self, kind: str) -> bool:
        in_body = self.tables.symbols[self.stack[-1][0]] == "statement"
        return kind == "NEWLINE" or (kind == "}" and in_body)

    def _begins_declaration(self, token: Token) -> bool:
        kind, start, _ = token
        return kind in TOP_LEVEL and (start == 0 or self.source.text[start - 1] == "\n")

    def _back_to_top(self, token: Token) -> Token:
        """Give up the declaration, because another begins."""
        while "declaration" not in self.tables.moves[self.stack[-1][0]]:
            self.stack.pop()
        return token

    def _symbols(self) -> list[tuple[str, Span]]:
        """What has been read and not yet put together."""
        symbols = self.tables.symbols
        return [(symbols[state], Span(self.source, start, end)) for state, _, start, end, _ in self.stack[1:]]

    def _expected(self) -> frozenset[str]:
        """The tokens that could stand here, and the constructs that could begin here.

        A table of the LALR kind also reduces on tokens that it refuses a little later, so each is tried out.
        """
        moves = self.tables.moves[self.stack[-1][0]]
        constructs = {rule.origin for rule in self.tables.rules}
        return frozenset(name for name in moves if name in constructs or self._accepts(name))

    def _accepts(self, kind: str) -> bool:
        states = [entry[0] for entry in self.stack]
        while (move := self.tables.moves[states[-1]].get(kind)) is not None and move < 0:
            rule = self.tables.rules[~move]
            del states[len(states) - rule.length :]
            states.append(self.tables.moves[states[-1]][rule.origin])
        return move is not None


SETTLED: dict[tuple[int, str, str], int] = {}
"""What `_settle` found, for all files: the tables never change."""


def _broken_statement(span: Span) -> Evaluate:
    return Evaluate(Call(Name("_", span=span), (), span=span), span=span)


def _broken_declaration(span: Span) -> Const:
    return Const(Identifier("_", span=span), None, Name("_", span=span), span=span)


PLACEHOLDERS: dict[str, Callable[[Span], object]] = {
    "statement": _broken_statement,
    "declaration": _broken_declaration,
}
"""What stands for a statement or declaration that was not understood, so that nothing more is said about it."""


def write_tables() -> str:
    """The text of grammar.json, made from grammar.lark."""
    import lark
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    grammar = resources.files("architrave.dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    made = lark.Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=True)
    data, memo = made.memo_serialize([TerminalDef, Rule])  # pyright: ignore[reportUnknownMemberType]
    return dump_tables(data["parser"]["parser"], memo)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m architrave.dsl.parser --write")
    Path(__file__).with_name("grammar.json").write_text(write_tables(), encoding="utf-8")
