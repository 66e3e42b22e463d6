"""docs/factorization.md, followed literally in an empty folder; it names the options and methods."""

import re
from pathlib import Path

import pytest

from architrave.cli.factorize import command
from architrave.cli.train import command as train
from architrave.factorize import METHODS
from tests.docs.following import follow
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "factorization.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    for package in ("torch", "sklearn", "matplotlib", "jinja2"):
        pytest.importorskip(package)
    follow(PAGE, tmp_path, [ROOT])


def test_every_option_of_the_page_exists() -> None:
    known = {flag for parameter in (*command.params, *train.params) for flag in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_the_table_lists_all_methods() -> None:
    assert sorted(re.findall(r"^\| `([a-z]+)` \|", TEXT, re.MULTILINE)) == sorted(METHODS)
