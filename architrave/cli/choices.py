"""The decisions of a search space: `architrave show --choices`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import click

from architrave.cli.terminal import plural, show, table
from architrave.dsl.elaborate.model import Elaborated
from architrave.dsl.space import Domain, listed, members
from architrave.ir.source import printable

Domains: TypeAlias = Mapping[str, Domain]


def described(built: Elaborated, space: Domains) -> dict[str, Any]:
    """Every decision of a space, where it exists, and what is taken of it in the member that is built."""
    outer = _outer(space)
    rows = [
        {
            "path": domain.path,
            "where": {path: [*labels] for path, labels in outer[domain.path].items()},
            "kind": domain.kind,
            "labels": list(domain.labels),
            "taken": built.choices[domain.path].taken if domain.path in built.choices else None,
            "file": domain.span.source.name if domain.span is not None else None,
            "line": domain.span.line if domain.span is not None else None,
        }
        for domain in _each(space)
    ]
    return {
        "model": built.graph.name,
        "space": members(space),
        "constraints": list(map(str, built.graph.constraints)),
        "choices": rows,
    }


def show_choices(built: Elaborated, space: Domains) -> None:
    """Every decision as a table; what is taken stands in brackets."""
    if not space:
        click.echo(f"{built.graph.name} has no choices")
        return
    outer = _outer(space)
    nested = any(outer.values())
    rows = table("decision", "of", "labels", *(["where"] if nested else []), "line", flexible=("labels",))
    every = _each(space)
    for domain in every:
        taken = built.choices[domain.path].taken if domain.path in built.choices else None
        labels = "  ".join(f"[{label}]" if label == taken else label for label in domain.labels)
        where = "  ".join(f"{path}={'|'.join(some)}" for path, some in outer[domain.path].items())
        cells = [printable(domain.path), domain.kind, labels, *([printable(where)] if nested else []), str(domain.span)]
        rows.add_row(*cells)
    show(rows)
    for constraint in built.graph.constraints:
        click.echo(f"\nconstraint {printable(str(constraint))}")
    found = f"{plural(len(every), 'decision')}, {plural(members(space), 'member')}"
    click.echo(f"\n{found}; what is taken stands in [brackets]")


def _each(space: Domains) -> list[Domain]:
    """The decisions, each once."""
    found: dict[str, Domain] = {}
    for domain in listed(space):
        found.setdefault(domain.path, domain)
    return [*found.values()]


def _outer(space: Domains) -> dict[str, dict[str, dict[str, None]]]:
    """For each decision the labels of others with one of which it exists, by path; none where it always does."""
    found: dict[str, dict[str, dict[str, None]]] = {domain.path: {} for domain in listed(space)}
    for domain in listed(space):
        for label, inner in domain.nested.items():
            for path in inner:
                found[path].setdefault(domain.path, {})[label] = None
    return found
