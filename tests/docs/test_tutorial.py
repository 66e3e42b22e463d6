"""docs/tutorial.md, followed literally in an empty folder."""

import re
from pathlib import Path

import pytest

from tests.docs.following import follow, pattern
from tests.docs.pages import ROOT, TUTORIAL, fences


def test_the_tutorial_works(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    follow(TUTORIAL, tmp_path, [ROOT])


def test_every_file_of_the_tutorial_is_used() -> None:
    blocks = fences(TUTORIAL.read_text(encoding="utf-8"))
    text = "\n".join(block.text for block in blocks)
    for block in blocks:
        if block.file is not None:
            assert Path(block.file).stem in text.replace(f"# {block.file}\n", "", 1)


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ("a ... c", "a b c\n", True),
        ("a\n...\nz", "a\nz\n", True),
        ("a\n...\nz", "a\nb\nc\nz\n", True),
        ("a\n...", "a\nb\n", True),
        ("a.b", "axb\n", False),
        ("a", "a\nb\n", False),
        ("", "a\n", False),
    ],
)
def test_shown_output_is_compared(shown: str, printed: str, fits: bool) -> None:
    assert bool(re.fullmatch(pattern(shown), printed)) is fits
