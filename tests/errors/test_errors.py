"""Every malformed file in this folder gives the error in the `.txt` beside it, to the letter.

`pytest tests/errors --update-golden` writes the `.txt` files; what changes is then a diff to review.
"""

import difflib
from pathlib import Path

import pytest

from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.expectations import check
from architrave.dsl.modules import load_file
from architrave.ir.source import ArchitraveError

FOLDER = Path(__file__).parent
FILES = sorted(FOLDER.glob("*.arch"))


def error_of(path: Path) -> str:
    """What a user of the file is told."""
    try:
        module = load_file(path.name)
        for model in module.models.values():
            elaborate(model)
        check(module)
    except ArchitraveError as problem:
        return f"{problem}\n"
    pytest.fail(f"nothing is wrong with {path.name}")


def test_the_table_is_large() -> None:
    assert len(FILES) >= 90


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_error(path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    found = error_of(path)
    golden = path.with_suffix(".txt")
    if request.config.getoption("--update-golden"):
        golden.write_text(found, encoding="utf-8", newline="\n")
    expected = golden.read_text(encoding="utf-8") if golden.exists() else ""
    if found != expected:
        lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), golden.name, "this run", lineterm="")
        pytest.fail("\n".join(lines), pytrace=False)
