"""Following a page literally: writing its files, running its commands, comparing what they print.

A block whose first line is a comment with a file's name is that file, or goes to its end where there is one. In a
`console` block a line that begins with `$ ` is a command, and what follows is what it prints: `...` stands for any text
within a line, and on a line of its own for any lines. A command that must fail stands in a block marked
`console fails`. Blocks of other kinds are for reading.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.docs.pages import Fence, fences


def follow(page: Path, folder: Path, packages: Sequence[Path]) -> None:
    """Do in `folder` what a page says. Commands find the Python packages in the folders `packages`."""
    for block in fences(page.read_text(encoding="utf-8")):
        if block.file is not None:
            write(block, folder / block.file)
        if block.kind != "console":
            continue
        for command, shown in commands(block):
            _run(command, shown, "fails" in block.options, folder, packages)


def write(block: Fence, path: Path) -> None:
    """A block as a file, or at the end of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.write_text(path.read_text(encoding="utf-8") + f"\n\n{block.text}", encoding="utf-8")
        return
    path.write_text(block.text, encoding="utf-8")


def commands(block: Fence) -> list[tuple[str, str]]:
    """The commands of a block, each with the output that the page shows."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def pattern(shown: str) -> str:
    """A regular expression for shown output."""
    return "".join(r"(?:.*\n)*?" if line == "..." else _line(line) for line in shown.rstrip().splitlines())


def _line(line: str) -> str:
    return ".*".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"


def _run(command: str, shown: str, fails: bool, folder: Path, packages: Sequence[Path]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = os.pathsep.join(map(str, packages))
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": found, "NO_COLOR": "1", "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if (done.returncode != 0) is not fails:
        pytest.fail(f"$ {command}\nexit code {done.returncode}\n{done.stdout}", pytrace=False)
    printed = "".join(f"{line.rstrip()}\n" for line in done.stdout.rstrip().splitlines())
    if not re.fullmatch(pattern(shown), printed):
        pytest.fail(f"$ {command}\n{printed}\nbut the page shows\n{shown}", pytrace=False)
