"""What a person sees of a search: how far it is, and the front so far; in the end, what was found."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from architrave.ir.source import printable

if TYPE_CHECKING:
    from rich.table import Table

    from architrave.search.study.results import Result
    from architrave.search.study.run import Search

ROWS = 12
"""Members of the front that are shown."""
INTERVAL = 0.5
"""The seconds between two looks at the storage, for the terminal."""


class Board:
    """A bar and the table of the front on the terminal, which change while a search runs."""

    def __init__(self, found: Search, *, quiet: bool) -> None:
        self.found = found
        self.quiet = quiet
        self._live: Any = None
        self._bar: Any = None
        self._shown = 0.0

    def __enter__(self) -> Board:
        if self.quiet or not sys.stderr.isatty():
            return self
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from architrave.cli.terminal import console

        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self._bar = Progress(*columns)
        self._bar.add_task(self.found.feasible.costs.space.name, total=self.found.slots.trials)
        self._live = Live(self._bar, console=console(err=True), transient=True)
        self._live.start()
        self.told()
        return self

    def __exit__(self, *problem: object) -> None:
        if self._live is not None:
            self._live.stop()

    def told(self) -> None:
        """Something may have changed."""
        if self._live is None or time.monotonic() - self._shown < INTERVAL:
            return
        from rich.console import Group

        results = self.found.results()
        self._bar.update(self._bar.task_ids[0], completed=len(results))
        self._live.update(Group(front_table(self.found, self.found.front()), self._bar))
        self._shown = time.monotonic()


def front_table(found: Search, best: Sequence[Result]) -> Table:
    """The members that no other beats in everything, with their decisions."""
    from architrave.cli.terminal import table

    names = found.settings.objectives
    rows = table("trial", *names, "decisions", right=("trial", *names), flexible=("decisions",))
    for one in best[:ROWS]:
        decisions = ", ".join(f"{path}={label}" for path, label in one.member.items())
        rows.add_row(str(one.slot), *(shown(name, one.values[name]) for name in names), printable(decisions))
    return rows


def shown(name: str, value: float) -> str:
    """A value of an objective as text."""
    if name == "accuracy":
        return f"{value:.2%}"
    if name == "latency":
        return f"{value * 1e3:.2f} ms"
    return f"{value:,.0f}" if name in ("params", "macs", "memory") else f"{value:.4g}"


def show_found(found: Search) -> None:
    """What came of a search."""
    from architrave.cli.terminal import plural, show

    results, best = found.results(), found.front()
    space = found.feasible.costs.space
    click.secho(f"{space.name}: {plural(len(results), 'trial')} of {space.size:,} members", bold=True)
    show(front_table(found, best))
    if len(best) > ROWS:
        click.echo(f"{len(best) - ROWS} more are as good")
    pruned = sum(one.pruned for one in results)
    if pruned:
        click.echo(f"{plural(pruned, 'trial')} stopped early")
    failed = [one for one in results if one.failure is not None]
    if failed:
        click.echo(f"{plural(len(failed), 'trial')} failed: {printable(str(failed[0].failure))}")


def facts(found: Search) -> dict[str, Any]:
    """The same as JSON-ready data."""
    return {
        "model": found.feasible.costs.space.name,
        "members": found.feasible.costs.space.size,
        "strategy": found.settings.strategy,
        "objectives": list(found.settings.objectives),
        "trials": [_row(one) for one in found.results()],
        "front": [one.slot for one in found.front()],
    }


def _row(one: Result) -> dict[str, Any]:
    return {
        "trial": one.slot,
        "member": dict(one.member),
        "values": dict(one.values),
        "failure": one.failure,
        "pruned": one.pruned,
        "seconds": one.seconds,
    }
