"""docs/errors.md lists every code that the compiler can give, once."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_code_is_listed_once() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "architrave").rglob("*.py"))
    used = {code for source in sources for code in re.findall(r'"(E\d{3})"', source)}
    listed = re.findall(r"^\| (E\d{3}) \|", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == sorted(set(listed))
    assert set(listed) == used


def test_every_golden_error_has_a_listed_code() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "tests" / "errors").glob("*.txt")):
        for code in re.findall(r"^error\[(E\d{3})\]", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert f"| {code} |" in page, path.name
