"""Where boxes stand and arrows run. What knows graphlay, which finds that, is here alone."""

from __future__ import annotations

import importlib.util
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from architrave.draw.parts import Outline, Part
from architrave.ir.source import error

Point = tuple[float, float]
SPACING = {
    "layer_gap": 22.0,
    "node_gap": 22.0,
    "dummy_gap": 16.0,
    "port_gap": 12.0,
    "stub": 8.0,
    "compound_padding": 10.0,
    "compound_header": 14.0,
    "isolated_gap": 22.0,
}
ASPECT = 0.8
"""The width of a picture in heights, which long ones come near to by standing in columns."""
TALL = 900.0
"""A picture that is no higher stands in one."""
WASTE = 1.5
"""How much more space columns may take."""
MOST_BENDS = 1500
"""How often all arrows together may pass a row of boxes: what takes long is to find ways for them."""


@dataclass(frozen=True)
class Layout:
    """The corners of boxes and frames, left and top, right and bottom; the ways of arrows; how large it is."""

    corners: Mapping[Part, tuple[float, float, float, float]]
    ways: Sequence[Sequence[Point]]
    bounds: tuple[float, float, float, float]


def check_layout() -> None:
    """Raises E568 where what finds places for boxes is not installed."""
    if importlib.util.find_spec("graphlay") is None:
        raise error("E568", "pictures of networks are laid out by graphlay", hint="pip install 'architrave[data]'")


def lay_out(found: Outline, sizes: Mapping[Part, Point]) -> Layout | None:
    """Place boxes of these widths and heights, from the top to the bottom. None for too many arrows. Raises E568."""
    check_layout()
    import graphlay

    parts = [part for part in found.root.walk() if part is not found.root]
    numbers = {part: number for number, part in enumerate(parts)}
    nodes = [_node(part, sizes[part], numbers.get(part.around)) for part in parts if part.around is not None]
    edges = [{"source": numbers[a], "target": numbers[b], "weight": 1.0} for a, b in found.edges]
    try:
        placed = _placed({"nodes": nodes, "edges": edges})
    except graphlay.GraphlayError:
        return None
    corners = {part: _corners(place) for part, place in zip(parts, placed.nodes, strict=True)}
    ways = [[(p["x"], p["y"]) for p in edge["points"]] for edge in placed.edges]
    low, high = placed.bounds["min"], placed.bounds["max"]
    return Layout(corners, ways, (low["x"], low["y"], high["x"], high["y"]))


def _placed(request: Mapping[str, Any]) -> Any:
    """The layout: in columns, if it would be much higher than wide otherwise and columns do no harm."""
    plain = _laid_out(request, 0.0)
    width, height = _size(plain)
    if height <= TALL or width >= ASPECT * height:
        return plain
    columns = _laid_out(request, ASPECT)
    # Arrows between columns may find no way but across boxes, or far around them.
    harmless = _slanted(columns) <= _slanted(plain) and math.prod(_size(columns)) <= WASTE * width * height
    return columns if harmless else plain


def _laid_out(request: Mapping[str, Any], aspect: float) -> Any:
    import graphlay

    options = {
        "direction": "topbottom",
        "spacing": SPACING,
        "limits": {"max_dummies": MOST_BENDS},
        "wrap": {"viewport_aspect": aspect},
    }
    return graphlay.layout(request, options=options)


def _slanted(placed: Any) -> int:
    """How many steps of arrows run along no axis."""
    steps = (step for edge in placed.edges for step in itertools.pairwise(edge["points"]))
    return sum(min(abs(a["x"] - b["x"]), abs(a["y"] - b["y"])) > 1e-6 for a, b in steps)


def _size(placed: Any) -> Point:
    low, high = placed.bounds["min"], placed.bounds["max"]
    return high["x"] - low["x"], high["y"] - low["y"]


def _node(part: Part, size: Point, around: int | None) -> dict[str, Any]:
    node = {"key": "", "shape": "box", "size": {"width": size[0], "height": size[1]}}
    return node if around is None else {**node, "parent": around}


def _corners(place: Mapping[str, Any]) -> tuple[float, float, float, float]:
    (x, y), (width, height) = place["center"].values(), place["size"].values()
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
