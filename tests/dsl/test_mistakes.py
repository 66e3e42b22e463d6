import re

import pytest

from architrave.dsl.mistakes import MISTAKES
from architrave.dsl.parser import parse
from architrave.ir.source import ArchitraveError, Diagnostic, Source
from tests.dsl.samples import body


def diagnostics(text: str) -> list[Diagnostic]:
    with pytest.raises(ArchitraveError) as caught:
        parse(Source("test.arch", text))
    assert str(caught.value)
    return caught.value.diagnostics


# What is written, the code, a part of the message, and the text that the error points to.
STATEMENTS = [
    ("y = x +", "E100", "expected a value", "}"),
    ("y = = 1", "E100", "expected a value, found `=`", "="),
    ("for x { }", "E100", "expected `in`, found `{`", "{"),
    ("y = £", "E101", r"U\+00A3", "£"),
    ("y = größe", "E101", "cannot stand in a name", "öß"),
    ('y = "abc', "E102", "not closed", '"abc'),
    ('y = "a\\q"', "E102", r"`\\q` is not an escape", r"\q"),
    ("y = 'abc'", "E103", "double quotes", "'abc'"),
    ("y = a && b", "E103", "`&&` is not an operator", "&&"),
    ("y = !a", "E103", "`!` is not an operator", "!"),
    ("y = a; z = b", "E103", "not separated by `;`", ";"),
    ("y = 3x", "E104", "begin with a digit", "3x"),
    ("y = 1.", "E104", "end with a point", "1."),
    ("y = 1e999", "E104", "too large", "1e999"),
    ("y = " + "1" * 5000, "E104", "more than 400 digits", "1" * 5000),
    ("param state: [N]", "E107", "`state` is a keyword", "state"),
    ("y = block + 1", "E107", "`block` is a keyword", "block"),
    ("true = 1", "E107", "`true` is a keyword", "true"),
    ("if a { y = 1 } elif b { y = 2 }", "E108", "`elif`", "elif"),
    ("y = lambda x: x", "E108", "`lambda`", "lambda"),
    ("y = f(a, b", "E110", r"`\(` is never closed", "("),
    ("y = (a]", "E110", r"`\(` is closed by `\]`", "]"),
    ("if a = b { }", "E112", "a comparison is written `==`", "="),
    ("y = a = b", "E112", "stands here again", "="),
    ("x += 1", "E112", r"there is no `\+=`", "="),
    ("if a:\n y = 1", "E113", "bodies stand in braces", ":"),
    ("for i in 0..3:\n y = 1", "E113", "bodies stand in braces", ":"),
    ("while a\nb = 1", "E113", "bodies stand in braces", "\n"),
    ("y = f(a: 1)", "E113", "arguments are named with `=`", ":"),
    ("else { }", "E113", "belongs to no `if`", "else"),
    ("y = f(a b)", "E114", "a comma is missing before `b`", "b"),
    ("y = choice { a: 1\n b: 2 }", "E114", "between two alternatives", "\n"),
    ("y = 1 z = 2", "E114", "`z` cannot follow here", "z"),
    ("y = a, b", "E115", "a tuple stands in parentheses", ","),
    ("return a, b", "E115", "a tuple stands in parentheses", ","),
    ("y = x -> relu + 1", "E115", "cannot follow a stage", "+"),
    ("y = x => x", "E115", "parameters stand in parentheses", "=>"),
    ("for i in 0.. { }", "E115", "a range has an end", "{"),
    ("y = {a: 1}", "E115", "no dictionaries", "{"),
    ("if { }", "E115", "a condition is missing", "{"),
    ("param w = zeros", "E116", "a weight needs a type", "="),
    ("emit h", "E116", "needs a name", "}"),
    ("z: int = 3", "E116", "has no type", ":"),
    ("y = choice { a = 1 }", "E116", "label: value", "="),
    (" import a", "E118", "stands at the top of a file", "import"),
    ("y = a < b < c", "E121", "comparisons do not chain", "<"),
    ("y = 0..1..2", "E121", "ranges do not chain", ".."),
    ("y = f(a = 1, 2)", "E122", "follows a named one", "2"),
    ("y = f(a = 1, a = 2)", "E123", "given twice", "a"),
    ("y = choice { a: 1, a: 2 }", "E123", "the label `a`", "a"),
    ("y = (1) => 2", "E124", "must be one word", "1"),
    ("while a, carry (1) { }", "E124", "must be named", "1"),
    ("y = x -> f(1): g", "E125", "named by a word", "f(1)"),
    ("y = x -> (a: f)", "E125", "needs no parentheses", "(a: f)"),
    ("param w: [*A, *B]", "E126", "at most one pack", "*B"),
    ("x[0] = 3", "E127", "lists and tensors do not change", "x[0]"),
    ("x.y = 3", "E127", "attribute", "x.y"),
    ("f(x) = 3", "E127", "only names", "f(x)"),
    ("y = if a { 1 }", "E128", "needs an `else`", "if a { 1 }"),
    ("y = if a { z = 1 } else { 2 }", "E128", "one expression", "z = 1"),
    ("if a { } else { } else { }", "E128", "nothing can follow", "if a { } else { } else { }"),
    ("scan axis = 1 { }", "E129", "needs something to run over", "scan axis = 1 { }"),
    ("while a, x in b { }", "E129", "runs over nothing", "x in b"),
    ("x == 3", "E130", "comparison does nothing", "x == 3"),
    ("x + 3", "E130", "not used", "x + 3"),
]
FILES = [
    ("language 2", "E105", "language 2 is not known", "language 2"),
    ("def f(x): x", "E108", "`def`", "def"),
    ("from a import *", "E109", "each name", "*"),
    ("fn f(x) {\n return x\n\nfn g(x) = x", "E110", "`{` is never closed", "{"),
    ("const a = f(1,\nconst b = 2", "E110", r"`\(` is never closed", "("),
    ("fn f(x) = x\n}", "E111", "closes nothing", "}"),
    ("block B(x: [N]) -> [N] { }", "E117", "two parameter lists", "->"),
    ("x = 3", "E118", "a file holds declarations", "x"),
    ("return 3", "E118", "inside a fn, block or model", "return"),
    ('"""a"""\n"""b"""', "E118", "docstring comes first", '"""b"""'),
    ("fn f(x, x) = x", "E123", "the parameter `x`", "x"),
    ('import "./a.arch"', "E131", "needs a name", '"./a.arch"'),
    ("expect 3: x", "E132", "the name of a model", "3"),
]


@pytest.mark.parametrize(
    ("text", "code", "message", "place"),
    [(body(text), *rest) for text, *rest in STATEMENTS] + FILES,
    ids=[text[:30] for text, *_ in STATEMENTS + FILES],
)
def test_mistake(text: str, code: str, message: str, place: str) -> None:
    first = diagnostics(text)[0]
    assert first.span is not None
    assert (first.code, first.span.text) == (code, place)
    assert re.search(message, first.message)
    assert not first.message.endswith(".")


def test_an_unclosed_bracket_shows_what_begins_next() -> None:
    (diagnostic,) = diagnostics("fn f(x) {\n y = g(1,\n}\n")
    assert [note.span.text for note in diagnostic.notes if note.span] == ["}"]


def test_one_error_for_one_mistake() -> None:
    for text in ("y = £ ? 1", "y = f((1", "if a { y = = 1 }", "y = [1 2 3]"):
        codes = {d.span.line for d in diagnostics(body(text)) if d.span}
        assert len(codes) == 1


def test_every_mistake_has_a_stable_code() -> None:
    assert all(re.fullmatch(r"E1[0-3][0-9]", mistake.code) for mistake in MISTAKES)
