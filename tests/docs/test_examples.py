"""The files in examples/: laid out, true to what they expect, the same on every backend, and those of the pages."""

from pathlib import Path

import pytest

from architrave.dsl.expectations import check
from architrave.dsl.format import format_source
from architrave.dsl.modules import load_file
from architrave.testing import assert_backends_agree
from tests.docs.pages import README, ROOT, TUTORIAL, fences

EXAMPLES = sorted((ROOT / "examples").rglob("*.arch"))
by_file = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)


@by_file
def test_example_is_laid_out_and_keeps_its_expectations(path: Path) -> None:
    module = load_file(path)
    assert format_source(module.tree.source) == module.tree.source.text
    assert module.doc
    outcomes = check(module)
    assert outcomes
    assert [outcome.text for outcome in outcomes if not outcome.holds] == []


@by_file
def test_example_agrees(path: Path) -> None:
    for model in load_file(path).models:
        assert_backends_agree(f"{path}:{model}", backends=["numpy"], dtypes=["float64"], gradients=False)


@pytest.mark.parametrize(("page", "name"), [(README, "tiny.arch"), (TUTORIAL, "spirals.arch")])
def test_pages_show_the_example(page: Path, name: str) -> None:
    (block,) = (block for block in fences(page.read_text(encoding="utf-8")) if block.file == name)
    assert block.text.partition("\n")[2] == (ROOT / "examples" / name).read_text(encoding="utf-8")
