"""docs/merging.md, followed literally in an empty folder."""

from pathlib import Path

import pytest

from tests.docs.following import follow
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "merging.md"


@pytest.mark.slow
def test_the_page_works(tmp_path: Path) -> None:
    for package in ("jinja2", "matplotlib", "sklearn"):
        pytest.importorskip(package)
    follow(PAGE, tmp_path, [ROOT])
