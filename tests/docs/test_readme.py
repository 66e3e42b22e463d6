"""README.md, followed literally in an empty folder."""

import re
from pathlib import Path

import pytest

from tests.docs.following import follow
from tests.docs.pages import README, ROOT


def test_the_readme_works(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    follow(README, tmp_path, [ROOT])


def test_the_two_commands_come_first() -> None:
    first = re.search(r"^```\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert first is not None
    assert [line.split("#")[0].strip() for line in first[1].splitlines()] == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in ("demo", "test"))


def test_the_table_lists_every_command() -> None:
    from architrave.cli.app import app

    listed = re.findall(r"^\| `(\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(app.list_commands(app.make_context("architrave", [], resilient_parsing=True)))
