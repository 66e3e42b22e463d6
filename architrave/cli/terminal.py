"""Tables, numbers and progress on a terminal. rich is imported by the commands that draw something."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING

from architrave.ir.dims import Dim, Size
from architrave.ir.source import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPED_WIDTH = 10_000
"""What is piped into a file or a program is never cut off or wrapped."""


def console(*, err: bool = False) -> Console:
    """A console for text that is not ours: no markup is read in it. It is plain where it is not a terminal."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False, soft_wrap=False)


def table(*columns: str, right: Iterable[str] = (), flexible: Iterable[str] = ()) -> Table:
    """An empty table: columns in `right` hold numbers, those in `flexible` wrap where space is short."""
    from rich.table import Table

    result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    for column in columns:
        wraps = column in flexible
        result.add_column(column, justify="right" if column in right else "left", no_wrap=not wraps, overflow="fold")
    return result


def show(*things: object, err: bool = False) -> None:
    """Print tables and text to standard output, or to standard error; lines end where their text does."""
    out = console(err=err)
    for thing in things:
        with out.capture() as captured:
            out.print(thing)
        (sys.stderr if err else sys.stdout).write("\n".join(line.rstrip() for line in captured.get().split("\n")))


@contextlib.contextmanager
def telling(*, quiet: bool) -> Generator[Callable[[str], None]]:
    """Somewhere to tell what is being done: a line on the terminal that goes away in the end."""
    if quiet or not sys.stderr.isatty():
        yield lambda step: None
        return
    with console(err=True).status("") as status:
        yield status.update


def count(number: Size) -> str:
    """A number with its thousands apart: `25,557,032`; in a symbolic one, each of its numbers: `27,705,664*N`."""
    return f"{number:,}" if isinstance(number, int) else _each_number(number, count)


def brief(number: Size) -> str:
    """A large number in three digits: `25.6M`; in a symbolic one, each of its numbers: `4.09G*N`."""
    if isinstance(number, Dim):
        return _each_number(number, brief)
    for unit, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if abs(number) >= unit:
            return f"{number / unit:.3g}{name}"
    return str(number)


def plural(number: int, noun: str) -> str:
    """`1 layer`, `2 layers`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _each_number(size: Dim, write: Callable[[int], str]) -> str:
    return re.sub(r"(?<!\w)\d+(?!\w)", lambda found: write(int(found[0])), printable(str(size)))
