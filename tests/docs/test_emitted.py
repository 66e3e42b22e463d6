"""The emitted code that pages show is what the compiler writes.

`pytest --update-golden` rewrites the pages: the change is then a diff to review.
"""

from pathlib import Path

import pytest

from tests.docs.pages import README, ROOT, TUTORIAL, emitted


@pytest.mark.parametrize("path", [README, TUTORIAL, ROOT / "docs" / "architecture.md"], ids=lambda path: path.name)
def test_emitted_code_is_current(path: Path, request: pytest.FixtureRequest) -> None:
    page = path.read_text(encoding="utf-8")
    current = emitted(page)
    if request.config.getoption("--update-golden"):
        path.write_text(current, encoding="utf-8", newline="\n")
        return
    assert page == current
