"""The dimensions of a network, for `architrave show --groups`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from architrave.cli.terminal import count, plural, show, table

if TYPE_CHECKING:
    from architrave.ir.axes.groups import Group
    from architrave.ir.graph import Graph


def listed(graph: Graph) -> dict[str, Any]:
    """Every dimension: its units, where they occur, and why it cannot be cut or permuted."""
    from architrave.ir.axes.groups import groups

    found = [
        {
            "name": group.name,
            "units": group.size,
            "members": [{"weight": m.path, "axis": m.axis, "multiplicity": m.places.shape[1]} for m in group.members],
            "whole": group.whole,
            "ordered": group.ordered,
        }
        for group in groups(graph)
    ]
    return {"model": graph.name, "groups": found}


def show_groups(graph: Graph, every: bool) -> None:
    """A row for each dimension that can be cut or permuted, those which can be cut first; of `every` one."""
    from architrave.ir.axes.groups import groups

    found = groups(graph)
    rows = table("dimension", "units", "axes", "weights in it", "", right=("units", "axes", "weights in it"))
    shown = [g for g in found if every or g.whole is None or g.ordered is None]
    for group in sorted(shown, key=lambda g: g.whole is not None):
        rows.add_row(group.name, count(group.size), count(len(group.members)), count(_weights_in(group)), _state(group))
    show(rows)
    free = len(found.cuttable)
    click.echo(f"{plural(len(found), 'dimension')}: {free} can be cut, {len(found.permutable)} permuted")
    if len(shown) < len(found):
        click.echo(f"{len(found) - len(shown)} can be neither; --all says why")


def _weights_in(group: Group) -> int:
    """How many numbers stand in the group's members."""
    sizes = {m.path: m.weight.type.size for m in group.members}
    return sum(size for size in sizes.values() if isinstance(size, int))


def _state(group: Group) -> str:
    if group.whole is None:
        return "can be cut"
    return f"whole: {group.whole}" if group.ordered is None else f"fixed: {group.ordered}"
