"""Whatever the text: a tree or an `ArchitraveError`, and formatting never changes the tree."""

from hypothesis import given, settings
from hypothesis import strategies as st

from architrave.dsl.format import format_source
from architrave.dsl.lexer import KEYWORDS, OPERATORS, scan
from architrave.dsl.parser import parse
from architrave.dsl.syntax import File
from architrave.ir.source import ArchitraveError, Source
from tests.dsl.samples import SOURCES

PIECES = [
    *sorted(KEYWORDS),
    *OPERATORS,
    *"()[]{}=,:.@#;!'\"\\\n\té",
    *("->", "=>", ":=", "...", '"""', "x", "3", "1.5", '"s"', "\n# c\n", " # c\n", "}\n", "{\n"),
]


def outcome(text: str) -> File | None:
    """The tree, or None where the text is refused as it should be."""
    try:
        return parse(Source("any.arch", text))
    except ArchitraveError as error:
        refused = error
    assert refused.diagnostics
    assert str(refused)
    assert all(d.code.startswith("E1") for d in refused.diagnostics)
    return None


def check(text: str) -> None:
    tree = outcome(text)
    if tree is None:
        return
    once = format_source(Source("any.arch", text))
    assert parse(Source("once.arch", once)) == tree
    assert format_source(Source("once.arch", once)) == once
    assert comments(once) == comments(text)


def comments(text: str) -> list[str]:
    return [text[start:end].rstrip() for kind, start, end in scan(text) if kind == "COMMENT"]


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    check(text)


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    check(data.decode("utf-8", errors="replace"))
    check(data.decode("latin-1"))


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_tokens(pieces: list[str]) -> None:
    check(" ".join(pieces))


@st.composite
def edited(draw: st.DrawFn) -> str:
    """A correct source with a few pieces put in, taken out or moved."""
    text = draw(st.sampled_from(sorted(SOURCES.values())))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 6)))
        text = text[:at] + draw(st.sampled_from(["", " ", *PIECES])) + text[end:]
    return text


@settings(max_examples=300)
@given(edited())
def test_edited_sources(text: str) -> None:
    check(text)


@given(edited(), edited())
def test_files_in_a_row(first: str, second: str) -> None:
    check(first + "\n" + second)


@given(
    st.sampled_from(["(", "[", "{", "f(", "if a {", "-", "not ", "x -> (", "(x) =>", "fn f(x) {\n"]),
    st.integers(1, 3000),
)
def test_any_depth(opener: str, depth: int) -> None:
    outcome("fn f(x) {\ny = " + opener * depth)
