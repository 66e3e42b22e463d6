"""`architrave ops --matrix`: which operators work where, found by running their samples."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.report import print_json

if TYPE_CHECKING:
    from rich.text import Text

    from architrave.backends.agree.matrix import Cell
    from architrave.ir.op import Op

SHORT = {"float32": "f32", "float64": "f64", "bfloat16": "bf16"}


def report(kinds: Sequence[type[Op]], *, as_json: bool) -> int:
    """Compute the matrix and show it; 1 where it has a hole."""
    from architrave.backends.agree.matrix import matrix
    from architrave.backends.base import names

    rows = {kind.name: list(matrix([kind], names())) for kind in _followed(kinds)}
    cells = [cell for row in rows.values() for cell in row]
    holes = [cell for cell in cells if not cell.ok]
    if as_json:
        print_json("ops", not holes, {"cells": [_described(cell) for cell in cells]})
    else:
        _show(rows, holes)
    return 1 if holes else 0


def _followed(kinds: Sequence[type[Op]]) -> Iterable[type[Op]]:
    """The operators, with a bar on the terminal that shows how many are done."""
    if not sys.stderr.isatty():
        return kinds
    from rich.progress import track

    from architrave.cli.terminal import console

    return track(kinds, "operators", console=console(err=True), transient=True)


def _described(cell: Cell) -> dict[str, Any]:
    return {
        "op": cell.op,
        "dtype": SHORT[cell.dtype],
        "direction": cell.direction,
        "witness": cell.witness,
        "passed": cell.passed,
        "samples": cell.samples,
        "reason": cell.reason,
        "problems": list(cell.problems),
    }


def _show(rows: dict[str, list[Cell]], holes: Sequence[Cell]) -> None:
    from architrave.cli.terminal import plural, show, table

    first = next(iter(rows.values()))
    grid = table("operator", *(f"{SHORT[dtype]} {direction}" for (dtype, direction), _ in _groups(first)))
    for name, cells in rows.items():
        grid.add_row(name, *(_cell(group) for _, group in _groups(cells)))
    show(grid)
    witnesses = dict.fromkeys(cell.witness for cell in first)
    passed = sum(cell.passed for row in rows.values() for cell in row)
    click.echo(f"\nA number is how many samples pass on each of {', '.join(witnesses)}; words say why there are none.")
    for problem, where in _problems(holes).items():
        click.echo(f"  {problem}: {', '.join(where)}")
    verdict = f"{plural(len(rows), 'operator')}, {passed:,} samples passed, {plural(len(holes), 'hole')}"
    click.secho(verdict, fg="red" if holes else "green", bold=True)


def _problems(holes: Sequence[Cell]) -> dict[str, list[str]]:
    """What is wrong, and where."""
    found: dict[str, list[str]] = {}
    for cell in holes:
        for problem in dict.fromkeys(cell.problems or ["there are no samples"]):
            where = f"{cell.op} in {SHORT[cell.dtype]} on {cell.witness}, {cell.direction}"
            found.setdefault(problem, []).append(where)
    return found


def _groups(cells: Sequence[Cell]) -> Iterator[tuple[tuple[str, str], list[Cell]]]:
    """The cells of one operator by precision and direction."""
    for key, group in groupby(cells, lambda cell: (cell.dtype, cell.direction)):
        yield key, list(group)


def _cell(group: Sequence[Cell]) -> str | Text:
    """What all witnesses have in common, or the holes."""
    from rich.text import Text

    holes = [cell for cell in group if not cell.ok]
    if holes:
        return Text(", ".join(f"{c.witness} {c.passed}/{c.samples}" for c in holes), style="bold red")
    return group[0].reason or str(group[0].passed)
