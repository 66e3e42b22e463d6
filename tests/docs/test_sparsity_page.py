"""docs/sparsity.md, followed literally in an empty folder; it names every option, method and distribution."""

import re
from pathlib import Path

import pytest

from architrave.cli.masks import DEFAULTS
from architrave.cli.sparsify import command
from architrave.cli.train import command as train
from architrave.sparsity.learning.dynamic import REWIRING
from architrave.sparsity.masks.density import DISTRIBUTIONS, EACH, GLOBAL
from architrave.sparsity.scores.methods import METHODS
from tests.docs.following import follow
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "sparsity.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    for package in ("torch", "sklearn"):
        pytest.importorskip(package)
    follow(PAGE, tmp_path, [ROOT])


def test_every_option_of_the_page_exists() -> None:
    known = {flag for parameter in (*command.params, *train.params) for flag in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_the_tables_list_all_there_are() -> None:
    rows = re.findall(r"^\| (`[a-z+`, ]+`) \|", TEXT, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted([*METHODS, *DISTRIBUTIONS, EACH, GLOBAL, *DEFAULTS])
    assert all(f"`{name}`" in TEXT for name in REWIRING)
