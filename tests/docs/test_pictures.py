"""The pictures of the pages are what the compiler draws today."""

import pytest

from architrave.models import load
from tests.docs.pages import ROOT

pytest.importorskip("graphlay", reason="graphlay is not installed")

from architrave.draw import picture

FOLDER = ROOT / "docs" / "pictures"
PICTURES = {"resnet18.svg": ("resnet18", 2)}


@pytest.mark.parametrize("name", PICTURES)
def test_picture(name: str, request: pytest.FixtureRequest) -> None:
    model, depth = PICTURES[name]
    drawn = picture(load(model), depth=depth)
    if request.config.getoption("--update-golden"):
        (FOLDER / name).write_text(drawn, encoding="utf-8", newline="\n")
    assert (FOLDER / name).read_text(encoding="utf-8") == drawn


def test_every_picture_is_drawn_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PICTURES)
