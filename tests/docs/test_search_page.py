"""docs/search.md, followed literally in an empty folder; it names the options, objectives and strategies there are."""

import re
from pathlib import Path

import pytest

from architrave.cli.search import command
from tests.docs.following import follow
from tests.docs.pages import ROOT, fences

pytest.importorskip("optuna", reason="optuna is not installed")

from architrave.search.study.objectives import OBJECTIVES
from architrave.search.study.sampler import PRUNERS, STRATEGIES, options

PAGE = ROOT / "docs" / "search.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    for package in ("torch", "jax", "sklearn", "matplotlib", "jinja2", "graphlay"):
        pytest.importorskip(package)
    follow(PAGE, tmp_path, [ROOT])


def test_every_option_of_the_page_exists() -> None:
    known = {flag for parameter in command.params for flag in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_the_tables_list_all_there_are() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|", TEXT, re.MULTILINE)
    assert rows == [*OBJECTIVES, *STRATEGIES]
    assert all(f"--pruner {name}" in TEXT for name in PRUNERS if name != "none")
    for name in STRATEGIES:
        (row,) = re.findall(rf"^\| `{name}` \| .* \|(.*)\|$", TEXT, re.MULTILINE)
        assert re.findall(r"`(\w+)`", row) == [*options(name)]


def test_the_space_is_the_example() -> None:
    (block,) = (block for block in fences(TEXT) if block.file == "cells.arch")
    assert block.text.partition("\n")[2] == (ROOT / "examples" / "cells.arch").read_text(encoding="utf-8")
