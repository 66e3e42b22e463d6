"""Text to tokens, and which newlines end a statement.

`scan` cuts text into pieces and knows nothing else; the formatter uses it too. `tokens` is what the parser
reads: no comments, only the newlines that mean something, words told apart from keywords, and every
lexical error reported and repaired, so that parsing can go on.

A token is `(kind, start, end)`. The kind of a keyword or of punctuation is its own text, but for the binary
operators, which the grammar need not tell apart: they are all `OPERATOR`, except `+ -` (`SIGN`, also
prefixes), `*` (also marks a pack) and `@` (also begins an annotation).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from architrave.ir.source import Diagnostic, Source, Span

Token: TypeAlias = tuple[str, int, int]

WORDS = (
    "import from as const fn grad block model param state return if else for in scan carry emit while choice "
    "constraint expect at assert and or not true false none training"
)
KEYWORDS = frozenset(WORDS.split())
OPERATORS = ("and", "or", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "..")
KINDS = {word: word for word in KEYWORDS} | dict.fromkeys(OPERATORS, "OPERATOR") | dict.fromkeys("+-", "SIGN")

PIECES = re.compile(
    r"""[ \t\r\f\ufeff]*(?:
      (?P<NAME>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<NEWLINE>\n)
    | (?P<MARK>:=|=>|->|[=!<>]=|//|\*\*|\.\.\.|\.\.|[-+*/%@=<>(){}\[\],:.])
    | (?P<BAD_NUMBER>[0-9][0-9_]*[A-DF-Za-df-z][A-Za-z0-9_]*|[0-9][0-9_]*\.(?![.A-Za-z_0-9]))
    | (?P<FLOAT>[0-9][0-9_]*(?:\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+))
    | (?P<INTEGER>[0-9][0-9_]*)
    | (?P<COMMENT>\#[^\n]*)
    | (?P<DOCSTRING>\"{3}(?s:.*?)\"{3})
    | (?P<OPEN_DOCSTRING>\"{3}(?s:.*))
    | (?P<STRING>"(?:[^"\\\n]++|\\.)*+")
    | (?P<OPEN_STRING>"[^\n]*)
    | (?P<SINGLE_QUOTED>'[^'\n]*'?)
    | (?P<FOREIGN>&&?|\|\|?|!|;|\^)
    | (?P<UNKNOWN>[^\x00-\x7f]+|[^ \t\r\f\n])
    | \Z # so that a long run of blanks at the end is tried once, not once for each
    )""",
    re.VERBOSE,
)

Report: TypeAlias = Callable[[Diagnostic], None]


def scan(text: str) -> Iterator[Token]:
    """Every piece of the text but the blanks: comments and all newlines too; words are all `NAME`."""
    for match in PIECES.finditer(text):
        kind = match.lastgroup
        if kind is not None:
            yield kind, *match.span(kind)


# A statement cannot end after these. (`=`, `:=` and `=>` too need a value on their right.)
CONTINUES = frozenset(("OPERATOR", "SIGN", "*", "@", "not", "in", ",", "->", "=", ":=", "=>", "{", "NEWLINE", "START"))
# A statement cannot begin with these, so a line that does goes on with the one before. That holds for `-`, too:
# no statement begins with a sign. `@` begins an annotation.
CONTINUATION = frozenset(("OPERATOR", "SIGN", "*", "->", "else", "}", "NEWLINE", "END"))
# A line that begins with one of these begins something new, even in brackets, which then were never closed:
# the first in the first column, the others anywhere.
TOP_LEVEL = frozenset(("fn", "block", "model", "from", "import", "const", "expect"))
STATEMENT_ONLY = frozenset(("return", "param", "emit", "assert", "constraint", "scan", "while"))

OPENS = frozenset("([{")
CLOSES = {")": "(", "]": "[", "}": "{"}
WORD_FOLLOWS = re.compile(r"[ \t]*(:(?!=)|=(?!=)|\[|\.(?!\.))")
# Where a keyword is an ordinary word: a label (`none: zero`, `-> block[i]: b`) or an argument's name (`state = 1`).
WORD_PLACES = frozenset(("->:", "->[", "->.", "(:", "(=", ",:", ",=", "{:"))

FOREIGN = {
    "&&": ("OPERATOR", "`&&` is not an operator here", "write `and`"),
    "&": ("OPERATOR", "`&` is not an operator here", "write `and` for conditions"),
    "||": ("OPERATOR", "`||` is not an operator here", "write `or`"),
    "|": ("OPERATOR", "`|` is not an operator here", "write `or` for conditions, `->` to pipe"),
    "!": ("not", "`!` is not an operator here", "write `not`"),
    "^": ("OPERATOR", "`^` is not an operator here", "write `**` for powers"),
    ";": ("NEWLINE", "statements are not separated by `;`", "put each statement on a line of its own"),
}


def tokens(source: Source, report: Report) -> Iterator[Token]:
    """The tokens that the grammar speaks of, with one `END` last."""
    text = source.text
    brackets: list[str] = []
    previous = "START"
    newline: Token | None = None
    for token in scan(text):
        kind, start, end = token
        if kind == "COMMENT":
            continue
        if kind == "NEWLINE":
            newline = newline or token
            continue
        if kind in REPAIRS:
            repaired = _repair(source, token, report)
            if repaired is None:
                continue
            kind = repaired
        if kind == "NAME" or kind == "MARK":
            kind = _kind(text, token, previous)
        if newline is not None:
            if _begins_anew(text, kind, start):
                _drop_to_brace(brackets)
                ends = previous not in ("NEWLINE", "START", "{")
            else:
                ends = _ends_statement(brackets, previous, kind)
            if ends:
                yield newline
                previous = "NEWLINE"
            newline = None
        if kind in OPENS:
            brackets.append(kind)
        elif kind in CLOSES:
            _close(brackets, kind)
        yield kind, start, end
        previous = kind
    yield "END", len(text), len(text)


def _kind(text: str, token: Token, previous: str) -> str:
    kind, start, end = token
    word = text[start:end]
    if word == "language" and previous == "START":
        return word
    if kind == "MARK" or word not in KEYWORDS:
        return KINDS.get(word, word if kind == "MARK" else kind)
    if previous == ".":
        return "NAME"
    follows = WORD_FOLLOWS.match(text, end)
    if follows is not None and previous + follows[1] in WORD_PLACES:
        return "NAME"
    return KINDS[word]


def _ends_statement(brackets: list[str], previous: str, kind: str) -> bool:
    if brackets and brackets[-1] != "{":
        return False
    return previous not in CONTINUES and kind not in CONTINUATION


def _begins_anew(text: str, kind: str, start: int) -> bool:
    if kind in STATEMENT_ONLY:
        return True
    return kind in TOP_LEVEL and (start == 0 or text[start - 1] == "\n")


def _drop_to_brace(brackets: list[str]) -> None:
    while brackets and brackets[-1] != "{":
        brackets.pop()


def _close(brackets: list[str], kind: str) -> None:
    """Take the matching bracket off. A `}` also ends the brackets left open inside its braces."""
    if kind == "}":
        _drop_to_brace(brackets)
    if brackets and brackets[-1] == CLOSES[kind]:
        brackets.pop()


def _repair(source: Source, token: Token, report: Report) -> str | None:
    """Report a piece that is no token, and say which token it probably meant, if any."""
    kind, start, end = token
    span = Span(source, start, end)
    if kind == "FOREIGN":
        meant, problem, advice = FOREIGN[span.text]
        report(Diagnostic("E103", problem, span, hint=advice))
        return meant
    if kind == "UNKNOWN":
        report(Diagnostic("E101", *_unknown(span.text[:1], span)))
        return None
    meant, code, message, hint = REPAIRS[kind]
    if kind == "BAD_NUMBER" and not span.text.endswith("."):
        message, hint = "a name cannot begin with a digit", "put a letter or `_` first"
    report(Diagnostic(code, message, span, hint=hint))
    return meant


def _unknown(character: str, span: Span) -> tuple[str, Span]:
    if character.isalpha():
        return f"`{character}` cannot stand in a name: names are made of ASCII letters, digits and `_`", span
    return f"the character U+{ord(character):04X} means nothing here", span


REPAIRS: dict[str, tuple[str, str, str, str | None]] = {
    "BAD_NUMBER": ("INTEGER", "E104", "a number cannot end with a point", "write `1.0`, or `a..b` for a range"),
    "OPEN_STRING": ("STRING", "E102", "this string is not closed", 'end it with `"` on the same line'),
    "OPEN_DOCSTRING": ("DOCSTRING", "E102", "this docstring is not closed", 'end it with `"""`'),
    "SINGLE_QUOTED": ("STRING", "E103", "strings stand in double quotes", 'write `"..."`'),
    "FOREIGN": ("", "", "", None),
    "UNKNOWN": ("", "", "", None),
}
