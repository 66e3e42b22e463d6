"""Syntax errors as sentences: what stands there, what was expected, and which mistake it probably is.

`MISTAKES` is a table, and the first line that fits is used. Where none fits, the error says what was expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from architrave.dsl.lexer import CLOSES, KEYWORDS, TOP_LEVEL, Token
from architrave.ir.source import Diagnostic, Note, Source, Span, printable

Symbols: TypeAlias = Sequence[tuple[str, Span]]
"""What the parser has read and not yet put together: names of tokens and constructs, innermost last."""

VALUES = frozenset(("NAME", "INTEGER", "FLOAT", "STRING", "true", "false", "none", "training", "if", "choice"))
OPERATORS = frozenset(("OPERATOR", "SIGN", "*", "@"))
ENDS_VALUE = VALUES | {"expression", "operation", "operand", "postfix", "atom", "bare", "plain", "chain", ")", "]"}
LINE_END = ("NEWLINE", "}", "END")
IN_BODY = frozenset(("param", "state", "return", "for", "scan", "emit", "while", "constraint", "assert", "if"))
ANY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake that people make. Empty conditions hold always; `{found}` and `{last}` are what was written.

    `found`: kinds or texts of the token that does not fit. `last`: the construct or text before it.
    `within`: a keyword or construct that is being read. `expected`: what all could have stood here.
    `bracket`: the innermost open bracket, `-` for none.
    """

    code: str
    message: str
    hint: str | None = None
    found: Iterable[str] = ()
    last: Iterable[str] = ()
    within: Iterable[str] = ()
    expected: Iterable[str] = ()
    bracket: str = ""

    def fits(self, found: set[str], last: set[str], within: set[str], expected: frozenset[str], bracket: str) -> bool:
        return (
            (not self.found or not found.isdisjoint(self.found))
            and (not self.last or not last.isdisjoint(self.last))
            and (not self.within or not within.isdisjoint(self.within))
            and expected.issuperset(self.expected)
            and (not self.bracket or bracket in self.bracket)
        )


def _foreign(word: str, hint: str) -> tuple[Mistake, Mistake]:
    """A word of another language, where it is refused or just after it."""
    message = f"`{word}` is not a word of this language"
    return Mistake("E108", message, hint, found=[f"`{word}`"]), Mistake("E108", message, hint, last=[f"`{word}`"])


MISTAKES = (
    *_foreign("def", "write `fn name(x: [*S]) -> [*S] {...}`, or `block` for what owns weights"),
    *_foreign("class", "write `block Name(static: int)(x: [N, C]) -> [N, C] {...}`"),
    *_foreign("elif", "write `else if`"),
    *_foreign("lambda", "write `(x) => x + 1`"),
    *_foreign("let", "write `name = value`"),
    *_foreign("func", "write `fn`"),
    *_foreign("function", "write `fn`"),
    Mistake(
        "E111", "this `{found}` closes nothing", "take it away, or look for what opens it", found=CLOSES, bracket="-"
    ),
    Mistake(
        "E113", "arguments are named with `=`", "write `name = value`", found=":", expected=["=", ","], bracket="("
    ),
    Mistake("E113", "bodies stand in braces", "write `{...}` in place of `:`", found=":", expected="{"),
    Mistake(
        "E113",
        "bodies stand in braces",
        "put `{` on this line and `}` after the last statement",
        found=["NEWLINE", "END"],
        expected="{",
    ),
    Mistake("E113", "`else` needs a body", "write `else {...}` or `else if condition {...}`", last=["else"]),
    Mistake("E113", "this `else` belongs to no `if`", "it follows the `}` of an `if`", found=["else"]),
    Mistake(
        "E117",
        "a block has two parameter lists: first what is static, then the tensors",
        "write `block Name()(x: [N, C])`",
        found=["->", "{", "=", "NEWLINE"],
        last=")",
        within=["block", "model"],
        expected="(",
    ),
    Mistake(
        "E109", "import each name that is used", "write `from std.norm import layer_norm`", found="*", within=["from"]
    ),
    Mistake(
        "E112",
        "there is no `{last}=`",
        "write the name twice: `x = x {last} 1`; states are updated with `:=`",
        found="=",
        last=["OPERATOR", "SIGN", "*", "@", "binary"],
    ),
    Mistake(
        "E112",
        "a comparison is written `==`",
        None,
        found="=",
        last=ENDS_VALUE,
        within=["if", "while", "assert", "constraint", "expect", "return"],
    ),
    Mistake("E112", "`=` stands here again", "a comparison is written `==`", found="=", last=ENDS_VALUE, within="="),
    Mistake(
        "E116",
        "a weight needs a type",
        "write `param weight: [out, in] = zeros`",
        found=["=", *LINE_END],
        within=["param", "state"],
        expected=":",
    ),
    Mistake("E116", "`emit` needs a name for what it stacks", "write `emit h as hs`", within=["emit"], expected=["as"]),
    Mistake("E116", "an alternative is written `label: value`", None, found="=", expected=":", bracket="{"),
    Mistake("E116", "a name inside a body has no type", "write `name = value`", found=":", expected=["NEWLINE", ":="]),
    Mistake("E115", "a lambda's parameters stand in parentheses", "write `(x) => ...`", found=["=>"]),
    Mistake(
        "E115",
        "an operator cannot follow a stage",
        "put the pipe in parentheses: `(x -> f) + 1`",
        found=OPERATORS,
        within=["->"],
        expected=["->"],
    ),
    Mistake("E115", "a tuple stands in parentheses", "write `(a, b)`", found=",", expected=["NEWLINE"], bracket="-{"),
    Mistake(
        "E115",
        "a range has an end",
        "write `a..b`; `b` itself is left out",
        last=["`..`"],
        found=["NEWLINE", "{", ")", "]"],
    ),
    Mistake("E115", "a condition is missing", "write `if condition {...}`", found="{", last=["if", "while"]),
    Mistake(
        "E115", "there are no dictionaries", "use keyword arguments or a `choice`", found="{", expected=["expression"]
    ),
    Mistake(
        "E118",
        "`{found}` stands inside a fn, block or model, not at the top of a file",
        None,
        found=IN_BODY,
        expected=["declaration"],
    ),
    Mistake(
        "E118",
        "a file holds declarations; `{found}` does not begin one",
        "write `const name = value`, or put it into a fn, block or model",
        found=VALUES | {"(", "["},
        expected=["declaration"],
    ),
    Mistake(
        "E118", "a docstring comes first in a file, fn, block or model", "write a comment: `# ...`", found=["DOCSTRING"]
    ),
    Mistake(
        "E118",
        "`{found}` stands at the top of a file, not inside a fn, block or model",
        "move it out; if it is at the top, a `}` is missing above",
        found=TOP_LEVEL,
        expected=["statement"],
    ),
    Mistake(
        "E107", "`{found}` is a keyword and cannot be a name", "choose another name", found=KEYWORDS, expected=["NAME"]
    ),
    Mistake(
        "E114", "a comma is missing before `{found}`", None, found=VALUES | {"[", "not"}, expected=",", bracket="(["
    ),
    Mistake(
        "E114",
        "a comma is missing between two alternatives",
        "write `choice { a: 1, b: 2 }`",
        found=["NAME", "STRING", "NEWLINE"],
        expected=[",", "}"],
    ),
    Mistake(
        "E114",
        "`{found}` cannot follow here",
        "begin a new line for each statement; if it belongs to this one, an operator is missing",
        found=VALUES | IN_BODY,
        expected=["NEWLINE"],
    ),
)

CONSTRUCTS = {
    "declaration": "a declaration",
    "statement": "a statement",
    "stage_value": "a stage",
    "type": "a type",
    "expression": "a value",
    "operation": "a value",
    "operand": "a value",
    "bare": "a value",
    "parameter": "a parameter",
    "target": "a name",
    "module": "a module",
    "name": "a name",
    "weight_name": "a name",
}
PUNCTUATION = ("{", ")", "]", "}", ":", "=", "in", "as", "import", ",", "->", "NEWLINE")
KINDS = {
    "NEWLINE": "the end of the line",
    "END": "the end of the file",
    "DOCSTRING": "a docstring",
    "INTEGER": "a number",
    "FLOAT": "a number",
}


def explain(source: Source, symbols: Symbols, token: Token, expected: frozenset[str]) -> Diagnostic:
    """The diagnostic for a token that does not fit behind what has been read."""
    kind, start, end = token
    span = Span(source, start, end)
    opened = _innermost_open(symbols)
    if opened is not None and _leaves_open(span, kind, opened[0]):
        message = f"this `{opened[0]}` is never closed"
        return Diagnostic(
            "E110", message, opened[1], (Note("something else begins here", span),), hint=_close(opened[0])
        )
    if opened is not None and kind in CLOSES and CLOSES[kind] != opened[0]:
        note = Note("it is opened here", opened[1])
        return Diagnostic("E110", f"`{opened[0]}` is closed by `{kind}`", span, (note,), hint=_close(opened[0]))
    mistake = _known(symbols, span, kind, expected, "-" if opened is None else opened[0])
    if mistake is None:
        return Diagnostic("E100", f"expected {_described(expected)}, found {_shown(span, kind)}", span)
    last = symbols[-1][1].text if symbols else ""
    if mistake.last and not mistake.found:
        span = symbols[-1][1]
    found = span.text if kind not in KINDS or kind in ("INTEGER", "FLOAT") else KINDS[kind]
    shown = {"found": _short(found), "last": _short(last)}
    hint = mistake.hint and mistake.hint.replace("{last}", shown["last"])
    message = mistake.message.replace("{found}", shown["found"]).replace("{last}", shown["last"])
    return Diagnostic(mistake.code, message, span, hint=hint)


def _known(symbols: Symbols, span: Span, kind: str, expected: frozenset[str], bracket: str) -> Mistake | None:
    found = {kind, f"`{span.text}`"}
    last = {symbols[-1][0], f"`{symbols[-1][1].text}`"} if symbols else set[str]()
    within: set[str] = set()
    for symbol, _ in reversed(symbols):
        if symbol in ("NEWLINE", "{"):
            break
        within.add(symbol)
    fitting = (each for each in MISTAKES if each.fits(found, last, within, expected, bracket))
    return next(fitting, None)


def _innermost_open(symbols: Symbols) -> tuple[str, Span] | None:
    closed = 0
    for symbol, span in reversed(symbols):
        if symbol in CLOSES:
            closed += 1
        elif symbol in ("(", "[", "{") and closed:
            closed -= 1
        elif symbol in ("(", "[", "{"):
            return symbol, span
    return None


def _leaves_open(span: Span, kind: str, bracket: str) -> bool:
    """Whether what stands at `span` shows that the bracket before it was forgotten."""
    if kind == "END" or (kind in TOP_LEVEL and span.column == 1):
        return True
    return kind in ("NEWLINE", "}") and bracket != "{"


def _close(bracket: str) -> str:
    closer = next(closer for closer, opener in CLOSES.items() if opener == bracket)
    return f"put the missing `{closer}` where it ends"


def _described(expected: frozenset[str]) -> str:
    words = [phrase for name, phrase in CONSTRUCTS.items() if name in expected][:1]
    words = ["a value"] if not words and "INTEGER" in expected else words
    words += [KINDS.get(name, f"`{name}`") for name in PUNCTUATION if name in expected]
    if not words:
        words = sorted(KINDS.get(name, f"`{name}`") for name in expected)
    words = words[:4]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0] if words else "nothing more"


def _shown(span: Span, kind: str) -> str:
    return KINDS[kind] if kind in ("NEWLINE", "END", "DOCSTRING") else f"`{_short(span.text)}`"


def _short(text: str) -> str:
    text = printable(text.split("\n")[0])
    return text if len(text) <= 40 else text[:37] + "..."
