"""Folders on the command line stand for the `.arch` files in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from architrave.ir.source import error


def expanded(names: Iterable[str]) -> Iterator[str]:
    """The names, and in place of each folder the files in it. Raises E606 for a folder without any."""
    for name in names:
        if Path(name).is_dir():
            yield from _files(name)
        else:
            yield name


def _files(folder: str) -> list[str]:
    found: list[str] = []
    for path, below, names in os.walk(folder):
        # What is hidden or installed is not the user's to check and to rewrite.
        below[:] = sorted(b for b in below if not b.startswith(".") and not Path(path, b, "pyvenv.cfg").exists())
        found += sorted(str(Path(path, name)) for name in names if name.endswith(".arch"))
    if not found:
        raise error("E606", f"there is no `.arch` file in {folder}")
    return found
