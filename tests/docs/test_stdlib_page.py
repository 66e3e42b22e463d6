"""The tables of docs/stdlib.md are what the library declares. `pytest --update-golden` rewrites them."""

import re

import pytest

from architrave import stdlib
from architrave.dsl.modules import CORE
from architrave.ir.cost import parameters
from architrave.models import load
from tests.docs.pages import ROOT
from tests.search.test_published import PUBLISHED

PAGE = ROOT / "docs" / "stdlib.md"


def networks() -> list[str]:
    rows = ["| network | module | parameters | paper |", "|---|---|---|---|"]
    for name, module in stdlib.models().items():
        (entry,) = (entry for entry in stdlib.entries(module) if entry.name == name)
        papers = "; ".join(map(str, entry.papers))
        rows.append(f"| `{name}` | `{module}` | {parameters(load(name)):,} | {papers} |")
    return rows


def layers() -> list[str]:
    core = [f"std.{name}" for name in CORE]
    others = sorted({*stdlib.modules()} - {*core} - {*stdlib.models().values()})
    found = [(module, entry) for module in (*core, *others) for entry in stdlib.entries(module)]
    rows = [f"| `{module}` | `{e.kind} {e.name}{e.signature}` | {e.summary} |" for module, e in found]
    return ["| module | declares | which is |", "|---|---|---|", *rows]


def published() -> list[str]:
    rows = ["| member | of | parameters | multiply-adds | published |", "|---|---|---|---|---|"]
    for name, row in PUBLISHED.items():
        said = ", ".join(f"{number:,}M {what}" for what, number in row.said.items())
        rows.append(f"| {name} | `{row.space}` | {row.params:,} | {row.macs:,} | {said} |")
    return rows


def current(page: str) -> str:
    """The page with the tables as they should be."""
    for name, rows in (("networks", networks()), ("published", published()), ("layers", layers())):
        page = re.sub(
            rf"<!-- {name} -->\n(\n\|.*(?:\n\|.*)*\n)?",
            lambda _, name=name, rows=rows: f"<!-- {name} -->\n\n" + "\n".join(rows) + "\n",
            page,
        )
    return page


def test_the_tables_are_current(request: pytest.FixtureRequest) -> None:
    page = PAGE.read_text(encoding="utf-8")
    if request.config.getoption("--update-golden"):
        PAGE.write_text(current(page), encoding="utf-8", newline="\n")
        return
    assert page == current(page)
