"""docs/tutorial.md, followed literally in an empty folder.

A block whose first line is a comment with a file's name is that file. In a `console` block a line that begins with
`$ ` is a command, and what follows is what it prints: `...` stands for any text within a line, and on a line of its own
for any lines. A command that must fail stands in a block marked `console fails`. Blocks of other kinds are for reading.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, TUTORIAL, Fence, fences


def commands(block: Fence) -> list[tuple[str, str]]:
    """The commands of a block, each with the output that the page shows."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def pattern(shown: str) -> str:
    """A regular expression for shown output."""
    lines = [r"(?:.*\n)*?" if line == "..." else _line(line) for line in shown.rstrip().splitlines()]
    return "".join(lines)


def _line(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.rstrip().split("...")) + r" *\n"


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    options = {"PATH": path, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**os.environ, **options},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def follow(command: str, shown: str, fails: bool, folder: Path) -> None:
    """Run a command; the test fails unless it ends and prints as the page says."""
    done = run(command, folder)
    if (done.returncode != 0) is not fails:
        pytest.fail(f"$ {command}\nexit code {done.returncode}\n{done.stdout}", pytrace=False)
    printed = "".join(f"{line.rstrip()}\n" for line in done.stdout.rstrip().splitlines())
    if not re.fullmatch(pattern(shown), printed):
        pytest.fail(f"$ {command}\n{printed}\nbut the page shows\n{shown}", pytrace=False)


def test_the_tutorial_works(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    for block in fences(TUTORIAL.read_text(encoding="utf-8")):
        if block.file is not None:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        if block.kind != "console":
            continue
        for command, shown in commands(block):
            follow(command, shown, "fails" in block.options, tmp_path)


def test_every_file_of_the_tutorial_is_used() -> None:
    blocks = fences(TUTORIAL.read_text(encoding="utf-8"))
    run_lines = "\n".join(block.text for block in blocks)
    for block in blocks:
        if block.file is not None:
            assert Path(block.file).stem in run_lines.replace(f"# {block.file}\n", "", 1)


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
