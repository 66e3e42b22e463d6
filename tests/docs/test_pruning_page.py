"""docs/pruning.md, followed literally in an empty folder; it names the options, methods and normalizers there are."""

import re
from pathlib import Path

import pytest

from architrave.cli.prune import command
from architrave.cli.show import command as show
from architrave.prune import METHODS
from architrave.prune.select import NORMALIZERS
from tests.docs.following import follow
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "pruning.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    for package in ("torch", "sklearn", "matplotlib", "jinja2", "graphlay"):
        pytest.importorskip(package)
    follow(PAGE, tmp_path, [ROOT])


def test_every_option_of_the_page_exists() -> None:
    known = {flag for parameter in (*command.params, *show.params) for flag in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_the_tables_list_all_there_are() -> None:
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", TEXT, re.MULTILINE) == list(METHODS)
    assert all(f"`{name}`" in TEXT for name in NORMALIZERS)
