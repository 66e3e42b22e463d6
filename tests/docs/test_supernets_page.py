"""docs/supernets.md, followed literally in an empty folder; what it names is there."""

import importlib
import re
from dataclasses import fields
from pathlib import Path

import pytest

from architrave.cli.supernet import command
from architrave.search.supernet.kinds import KINDS
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


def test_the_table_lists_all_kinds() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\|(.*)\|$", text, re.MULTILINE)
    assert {kind: re.findall(r"`(\w+)`", options) for kind, options in rows} == {
        kind: [f.name for f in fields(made) if f.name not in ("model", "draw")] for kind, made in KINDS.items()
    }
    (choice,) = (p for p in command.commands["train"].params if p.name == "kind")
    assert choice.type.choices == tuple(KINDS)  # type: ignore[attr-defined]  # a choice
