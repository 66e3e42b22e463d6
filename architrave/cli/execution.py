"""What came of sparse execution: the format of each layer, and why, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from architrave.ir.source import printable

if TYPE_CHECKING:
    from architrave.sparsity.execution.formats import SparseExecution


def execution_facts(found: SparseExecution | None) -> dict[str, Any] | None:
    """Of each layer the format, the seconds in each, and why it was taken; None where nobody asked."""
    if found is None:
        return None
    layers = [
        {"path": choice.path, "format": choice.format, "seconds": dict(choice.seconds), "reason": choice.reason}
        for choice in found.choices
    ]
    return {"backend": found.backend, "layers": layers}


def show_execution(found: SparseExecution | None) -> None:
    """The same as a table."""
    from architrave.cli.terminal import show, table

    if found is None:
        return
    click.secho(f"execution, timed with {found.backend}", bold=True)
    rows = table("layer", "format", "dense", "now", "why", right=("dense", "now"))
    for choice in found.choices:
        times = [f"{1e6 * choice.seconds[name]:.0f} us" if choice.seconds else "" for name in ("dense", choice.format)]
        rows.add_row(printable(choice.path), choice.format, *times, printable(choice.reason))
    show(rows)
