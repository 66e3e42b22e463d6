"""What became of a network that was pruned, as data and as a page that needs no other file."""

from __future__ import annotations

import re
from typing import Any

from architrave.ir.arrays import np
from architrave.ir.dims import Size
from architrave.ir.source import printable
from architrave.ir.types import shape_text
from architrave.prune.pruned import Layer, Part, Pruned
from architrave.record.page import figure, network, rendered, svg

BARS = 60
"""Groups that have a bar in one picture."""
COLORS = {"channels": "#4063d8", "heads": "#9558b2", "width": "#389826", "units": "#c2700f"}
GONE = "#e4e4e4"


def facts(found: Pruned) -> dict[str, Any]:
    """All of it as JSON-ready data."""
    return {
        "model": found.network.name,
        "method": found.plan.method,
        "by": found.plan.by,
        "keep": found.plan.keep,
        "hoisted": found.hoisted,
        "parameters": list(found.parameters),
        "macs": list(found.macs),
        "units": list(found.units),
        "seconds": None if found.seconds is None else list(found.seconds),
        "groups": [
            {"name": part.name, "kind": part.kind, "size": part.size, "kept": part.kept.tolist()}
            for part in found.parts
        ],
        "whole": dict(found.refused),
        "dropped": list(found.dropped),
        "layers": [
            {
                "name": layer.name,
                "shapes": [None if shape is None else [str(s) for s in shape] for shape in layer.shapes],
                "parameters": list(layer.parameters),
                "macs": list(layer.macs),
            }
            for layer in found.layers
        ],
        "before": dict(found.before),
        "cut": dict(found.cut),
        "after": dict(found.after),
    }


def page(found: Pruned) -> str:
    """The page. Raises E568."""
    return rendered(
        "architrave.prune",
        found=found,
        picture=_picture(found),
        network=network(found.network),
        totals=totals(found),
        change=change,
        shape=shape,
    )


def totals(found: Pruned) -> list[tuple[str, str, str]]:
    """What the network has in all: a name, and it before and after, as text."""
    rows = [("trained numbers", found.parameters), ("multiply-adds", found.macs)]
    if found.parts:
        rows.append(("units of groups", found.units))
    told = [(name, f"{before:,}", f"{after:,} ({share(before, after)})") for name, (before, after) in rows]
    if found.seconds is not None:
        before, after = found.seconds
        told.append(("milliseconds", f"{before * 1e3:.2f}", f"{after * 1e3:.2f} ({after / before:.1%})"))
    for name, value in found.before.items():
        shown = "{:.2%}" if name == "accuracy" else "{:.4f}"
        told.append((name, shown.format(value), shown.format(found.after[name])))
    return told


def share(before: int, after: int) -> str:
    """How much is left, as text."""
    return f"{after / before:.1%}" if before else ""


def reasons(found: Pruned) -> dict[str, list[str]]:
    """Why groups stay whole, without the places where that is: for each reason their names."""
    alike: dict[str, list[str]] = {}
    for name, reason in found.refused.items():
        alike.setdefault(re.sub(r" at `[^`]*`", "", reason), []).append(name)
    return alike


def shape(layer: Layer, when: int) -> str:
    """The shape of a layer's first weight, as text."""
    found: tuple[Size, ...] | None = layer.shapes[when]
    return "" if found is None else shape_text(found)


def change(pair: tuple[int, int]) -> str:
    """A number before and after, as text; once where it stays."""
    before, after = pair
    return f"{before:,}" if before == after else f"{before:,} to {after:,}"


def _picture(found: Pruned) -> str:
    """A bar for each group, a stroke for each unit: in the colour of its kind where it stays, grey where it goes."""
    parts = found.parts[:BARS]
    if not parts:
        return ""
    drawn, (axes, *_) = figure(9, 0.8 + 0.2 * len(parts), 1)
    for row, part in enumerate(parts):
        stays = _runs(part)
        axes.barh(row, 1.0, color=GONE, height=0.8)
        axes.broken_barh(stays, (row - 0.4, 0.8), color=COLORS[part.kind])
    labels = [f"{printable(part.name)}  {len(part.kept)}/{part.size}" for part in parts]
    axes.set_yticks(range(len(parts)), labels, fontsize=7)
    axes.set_xticks([])
    axes.set_xlim(0, 1)
    axes.set_ylim(len(parts) - 0.5, -0.5)
    return svg(drawn)


def _runs(part: Part) -> list[tuple[float, float]]:
    """Where neighbouring units stay: starts and lengths, of a bar of length 1."""
    breaks = np.flatnonzero(np.diff(part.kept) != 1) + 1
    runs = np.split(part.kept, breaks)
    return [(float(run[0]) / part.size, len(run) / part.size) for run in runs if len(run)]
