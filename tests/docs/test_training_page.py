"""docs/training.md, followed literally in an empty folder; it names the options and data that there are."""

import re
from pathlib import Path

import pytest

from architrave.cli.train import command
from tests.docs.following import follow
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "training.md"


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    for package in ("torch", "jax", "optax", "sklearn"):
        pytest.importorskip(package)
    follow(PAGE, tmp_path, [ROOT])


def test_every_option_of_the_page_exists() -> None:
    known = {flag for parameter in command.params for flag in parameter.opts} | {"--help"}
    named = re.findall(r"`(--[a-z-]+)", PAGE.read_text(encoding="utf-8"))
    assert set(named) <= known
