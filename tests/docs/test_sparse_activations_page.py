"""docs/sparse-activations.md, followed literally in an empty folder; its options exist."""

import re
from pathlib import Path

import pytest

from architrave.cli.activations import command
from architrave.cli.apply import command as apply
from architrave.cli.train import command as train
from tests.docs.following import follow
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "sparse-activations.md"


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    follow(PAGE, tmp_path, [ROOT])


def test_every_option_of_the_page_exists() -> None:
    known = {flag for one in (command, train, apply) for parameter in one.params for flag in parameter.opts}
    assert set(re.findall(r"(?<![\w-])(--[a-z-]+)", PAGE.read_text(encoding="utf-8"))) <= known
