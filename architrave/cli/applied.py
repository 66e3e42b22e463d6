"""What passes did to a network, as data and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from architrave.cli.terminal import count, plural, show, table
from architrave.ir import cost
from architrave.ir.dims import Size
from architrave.ir.nested import innermost_first
from architrave.ir.source import printable

if TYPE_CHECKING:
    from architrave.ir.graph import Graph
    from architrave.passes import Entry, Journal, Pipeline, Transformed

LISTED = 20
"""Nodes of one reason that are listed one by one."""


@dataclass(frozen=True)
class Applied:
    """A network before and after a pipeline. `sizes` are those of symbolic dimensions."""

    before: Graph
    transformed: Transformed
    pipeline: Pipeline
    sizes: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON-ready data."""
        journal = self.transformed.journal
        return {
            "model": self.before.name,
            "passes": str(self.pipeline),
            "keeps": str(self.transformed.keeps),
            "before": _sizes_json(_costs(self.before, self.sizes)),
            "after": _sizes_json(_costs(self.transformed.graph, self.sizes)),
            "warnings": [warning.to_json() for warning in journal.warnings],
            "declined": list(map(_entry_json, journal.declined)),
            "changes": list(map(_entry_json, journal.changes)),
            "rules": [{"pass": step, "rule": rule, "times": n} for (step, rule), n in journal.counts.items()],
            "seconds": journal.seconds,
        }

    def show(self, *, explain: bool, trace: bool, err: bool) -> None:
        """The costs before and after, and what was asked for beside them."""
        keeps = self.transformed.keeps
        rows = table("", "before", "after", right=("before", "after"))
        after = _costs(self.transformed.graph, self.sizes)
        for name, size in _costs(self.before, self.sizes).items():
            rows.add_row(name, count(size), count(after[name]))
        click.secho(f"{self.before.name}: {self.pipeline}", bold=True, err=err)
        show(rows, err=err)
        click.echo(f"\n{keeps}: {keeps.meaning}", err=err)
        journal = self.transformed.journal
        for line in (*(_explained(journal) if explain else ()), *(_traced(journal) if trace else ())):
            click.echo(line, err=err)


def _costs(graph: Graph, sizes: Mapping[str, int]) -> dict[str, Size]:
    return {
        "parameters": cost.parameters(graph),
        "states": cost.state(graph),
        "multiply-adds": cost.multiply_adds(graph, sizes),
        "nodes": sum(len(inner.nodes) for inner in innermost_first(graph)),
    }


def _sizes_json(costs: Mapping[str, Size]) -> dict[str, int | str]:
    return {k.replace("-", "_"): v if isinstance(v, int) else str(v) for k, v in costs.items()}


def _entry_json(entry: Entry) -> dict[str, Any]:
    span = entry.node.span
    return {
        "pass": entry.step,
        "rule": entry.rule,
        "op": entry.node.op.name,
        "place": str(entry.node.place or ""),
        "file": span.source.name if span is not None else None,
        "line": span.line if span is not None else None,
        **({} if entry.reason is None else {"reason": entry.reason}),
    }


def _explained(journal: Journal) -> Iterable[str]:
    """What was declined: the reasons, and below each the nodes."""
    if not journal.declined:
        return ["", "nothing was declined"]
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in journal.declined:
        groups.setdefault((entry.step, entry.rule, entry.reason or ""), []).append(entry)
    lines = ["", f"{plural(len(journal.declined), 'time')} a rule almost matched:"]
    for (step, rule, reason), entries in groups.items():
        lines.append(f"  {step}, {rule}: {printable(reason)}")
        lines += _listed(entries)
    return lines


def _traced(journal: Journal) -> Iterable[str]:
    """What was changed: how long each pass took, how often each of its rules acted, and on which nodes."""
    lines = [""]
    for step, seconds in journal.seconds.items():
        rules = {rule: times for (of, rule), times in journal.counts.items() if of == step}
        lines.append(f"{step}: {seconds:.3f} s" + ("" if rules else ", nothing changed"))
        for rule, times in rules.items():
            lines.append(f"  {rule}, {plural(times, 'time')}")
            lines += _listed([e for e in journal.changes if (e.step, e.rule) == (step, rule)], None)
    return lines


def _listed(entries: list[Entry], limit: int | None = LISTED) -> list[str]:
    lines = [f"    {printable(entry.where)}" for entry in entries[:limit]]
    more = len(entries) - len(lines)
    return [*lines, f"    and {more:,} more, which `--json` lists"] if more else lines
