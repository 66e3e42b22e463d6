"""docs/quantization.md, followed literally in an empty folder; it names the options, observers and methods."""

import re
from pathlib import Path

import pytest

from architrave.cli.quantize import command
from architrave.cli.train import command as train
from architrave.quantize import OBSERVERS
from architrave.quantize.methods import METHODS
from tests.docs.following import follow
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "quantization.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    for package in ("torch", "jax", "sklearn", "matplotlib", "jinja2"):
        pytest.importorskip(package)
    follow(PAGE, tmp_path, [ROOT])


def test_every_option_of_the_page_exists() -> None:
    known = {flag for parameter in (*command.params, *train.params) for flag in parameter.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def test_the_tables_list_all_there_are() -> None:
    named = re.findall(r"^\| `([a-z][a-z-]+)` \|", TEXT, re.MULTILINE)
    assert named[: len(OBSERVERS)] == list(OBSERVERS)
    assert sorted(named[len(OBSERVERS) :]) == sorted(METHODS)
