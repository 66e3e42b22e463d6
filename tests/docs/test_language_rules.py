"""What docs/language.md says of binding, lines and words, beside its examples: those are parsed elsewhere."""

from pathlib import Path

import pytest

from architrave.dsl import syntax
from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.expectations import check
from architrave.dsl.modules import load_text
from architrave.dsl.parser import parse
from architrave.ir.source import ArchitraveError, Source
from tests.docs.test_language_examples import Example, examples

PAGE = Path(__file__).parents[2] / "docs" / "language.md"
FILES = [example for example in examples(PAGE) if not example.kind]

EQUAL = [
    ("2 ** 3 ** 2", "2 ** (3 ** 2)"),
    ("-x ** 2", "-(x ** 2)"),
    ("a - b - c", "(a - b) - c"),
    ("a * b @ c", "(a * b) @ c"),
    ("0..n + 1", "0..(n + 1)"),
    ("not a == b", "not (a == b)"),
    ("a or b and c", "a or (b and c)"),
    ("a + b -> relu", "(a + b) -> relu"),
    ("(y) => y -> f -> g", "(y) => (y -> f -> g)"),
    ("[a\n, b]", "[a, b]"),
    ("a\n - b", "a - b"),
    ("x\n -> f\n -> g", "x -> f -> g"),
]
REFUSED = {
    "comparisons do not chain": ("const c = a < b < c", "E121"),
    "ranges do not chain": ("const c = 0..1..2", "E121"),
    "names are ASCII": ("const größe = 1", "E101"),
    "a keyword is no name": ("const state = 1", "E107"),
    "a value must be used": ("fn f(x: [N]) -> [N] {\n    x\n    return x\n}", "E130"),
    "an unknown escape": (r'const s = "\q"', "E102"),
    "nested 201 deep": (f"const c = {'(' * 201}1{')' * 201}", "E106"),
}


def value(text: str) -> syntax.Expression:
    """The expression that the text of a constant is."""
    (declaration,) = parse(Source("<text>", f"const c = {text}\n")).declarations
    assert isinstance(declaration, syntax.Const)
    return declaration.value


@pytest.mark.parametrize(("written", "meant"), EQUAL, ids=[written for written, _ in EQUAL])
def test_operators_bind_as_the_page_says(written: str, meant: str) -> None:
    assert value(written) == value(meant)


@pytest.mark.parametrize(("text", "code"), REFUSED.values(), ids=REFUSED)
def test_what_the_page_forbids_is_refused(text: str, code: str) -> None:
    with pytest.raises(ArchitraveError) as caught:
        parse(Source("<text>", text))
    assert code in {diagnostic.code for diagnostic in caught.value.diagnostics}


def test_a_chain_of_stages_may_be_long() -> None:
    assert isinstance(value("x" + " -> f" * 5000), syntax.Pipe)


@pytest.mark.parametrize("example", FILES, ids=str)
def test_models_of_the_page_elaborate_and_keep_their_expectations(example: Example) -> None:
    module = load_text(example.text)
    for model in module.models.values():
        elaborate(model)
    assert [outcome.text for outcome in check(module) if not outcome.holds] == []
