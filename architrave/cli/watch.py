"""What a person sees of a run: rows of numbers, a bar that moves, and curves at the end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

TICKS = "▁▂▃▄▅▆▇█"
COLUMNS: Mapping[str, tuple[str, str]] = {
    "epoch": ("epoch", "{:.0f}"),
    "loss": ("loss", "{:.4f}"),
    "val_loss": ("val loss", "{:.4f}"),
    "val_accuracy": ("val accuracy", "{:.2%}"),
    "rate": ("rate", "{:.2e}"),
    "seconds": ("seconds", "{:.1f}"),
}
"""The numbers of an epoch that are shown: their names and formats."""

Row = Mapping[str, Any]


class Watch:
    """Told of each step and each epoch, it shows them: rows go to standard output, the bar to the terminal."""

    def __init__(self, name: str, steps: int, *, quiet: bool) -> None:
        self.name = name
        self.steps = steps
        self.quiet = quiet
        self._bar: Any = None
        self._smooth: float | None = None
        self._headed = False

    def __enter__(self) -> Watch:
        if self.quiet or not sys.stderr.isatty():
            return self
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from architrave.cli.terminal import console

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns, console=console(err=True), transient=True)
        self._bar.add_task(self.name, total=self.steps)
        self._bar.start()
        return self

    def __exit__(self, *problem: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, number: int, loss: float) -> None:
        """A step is done."""
        if self._bar is None:
            return
        self._smooth = loss if self._smooth is None else 0.95 * self._smooth + 0.05 * loss
        self._bar.update(self._bar.task_ids[0], completed=number, description=f"{self.name}  loss {self._smooth:.4f}")

    def epoch(self, row: Row) -> None:
        """An epoch is done."""
        if self.quiet:
            return
        shown = [name for name in COLUMNS if name in row]
        if not self._headed:
            self._tell("  ".join(f"{COLUMNS[name][0]:>8}" for name in shown))
            self._headed = True
        self._tell("  ".join(f"{_cell(name, row):>{max(8, len(COLUMNS[name][0]))}}" for name in shown))

    def _tell(self, line: str) -> None:
        # On a terminal that shows the bar, a line must come above it.
        if self._bar is not None and sys.stdout.isatty():
            self._bar.console.print(line)
        else:
            click.echo(line)


def curves(history: Sequence[Row]) -> list[str]:
    """The curves of a run as lines of text, each from its first to its last number."""
    lines: list[str] = []
    for name in ("loss", "val_loss", "val_accuracy"):
        rows = [row for row in history if name in row]
        if len(rows) > 1:
            line = sparkline([row[name] for row in rows])
            lines.append(f"{COLUMNS[name][0]:>12}  {line}  {_cell(name, rows[0])} to {_cell(name, rows[-1])}")
    return lines


def sparkline(numbers: Sequence[float], width: int = 60) -> str:
    """Numbers as a line of bars, the least the lowest; of more than `width` numbers, some."""
    stride = -(-len(numbers) // width)
    taken = [*numbers[:-1:stride], numbers[-1]]
    low, high = min(taken), max(taken)
    scale = (len(TICKS) - 1) / (high - low) if high > low else 0.0
    return "".join(TICKS[round((number - low) * scale)] for number in taken)


def _cell(name: str, row: Row) -> str:
    return COLUMNS[name][1].format(row[name])
