"""docs/supernets.md, followed literally in an empty folder; what it names is there."""

import importlib
import re
from pathlib import Path

import pytest

from tests.docs.following import follow
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "supernets.md"


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    follow(PAGE, tmp_path, [ROOT])


def test_what_the_page_names_exists() -> None:
    named = re.findall(r"`architrave\.([a-z_.]+)\.(\w+)", PAGE.read_text(encoding="utf-8"))
    assert named
    for module, name in named:
        assert hasattr(importlib.import_module(f"architrave.{module}"), name)
