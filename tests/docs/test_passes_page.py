"""docs/passes.md, followed literally in an empty folder; it shows the example, and every rule and reason there is."""

import re
from pathlib import Path

import pytest

import architrave
from architrave.passes import apply
from architrave.passes.reparam.merge import rules
from tests.docs.following import follow
from tests.docs.pages import ROOT, fences

PAGE = ROOT / "docs" / "passes.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_works(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    follow(PAGE, tmp_path, [ROOT])


def test_the_page_shows_the_example() -> None:
    (block,) = (block for block in fences(TEXT) if block.file == "reparam.arch")
    assert block.text.partition("\n")[2] == (ROOT / "examples" / "reparam.arch").read_text(encoding="utf-8")


def test_the_table_lists_every_rule() -> None:
    named = re.findall(r"^\| `([a-z-]+)` \|", TEXT, flags=re.MULTILINE)
    assert sorted(named) == sorted(rule.__name__.replace("_", "-") for rule in rules())


def test_the_python_of_the_page_runs() -> None:
    for block in fences(TEXT):
        if block.kind == "python" and "class " in block.text:
            found: dict = {}
            exec(block.text, found)  # noqa: S102  # the page's own text
            graph = architrave.loads("model M()(x: [3]) = gelu(x)")
            assert "relu" in str(apply(graph, found["CheapActivations"]()).graph)
