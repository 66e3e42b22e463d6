"""A picture of a network: its blocks as boxes, what flows between them as arrows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from architrave.draw.collapse import bundle, collapse, fold, join
from architrave.draw.describe import alike, describe
from architrave.draw.instances import instances
from architrave.draw.layout import lay_out
from architrave.draw.outline import outline
from architrave.draw.parts import Outline
from architrave.draw.svg import drawn, size_of
from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.ir.source import error

MOST_BOXES = 400
"""Boxes of a picture, if it is asked for by its depth."""
READABLE = 64
"""Boxes of one that is not."""


def picture(
    graph: Graph,
    *,
    depth: int | None = None,
    sizes: Mapping[str, int] | None = None,
    training: bool = False,
    every: bool = False,
) -> str:
    """A graph as SVG, with the instances of blocks down to `depth` names: `layer1.0` is two deep.

    Without `depth` it is drawn as deep as it can be read. `sizes` are those of symbolic dimensions. Equal layers that
    follow one another share a box, unless `every` one is asked for. The same graph gives the same text. Raises E568
    where graphlay is not installed, and E332 for a network of too many boxes or arrows.
    """
    graph = specialize(graph, training)
    known = {instance.path: instance for instance in instances(graph, sizes).walk()}

    def outlined(depth: int, most: int, folded: bool) -> Outline | None:
        found = _whole(graph, depth)
        if found is None:
            return None
        describe(found, known, sizes or {})
        if not every:
            collapse(found, lambda part: alike(part, known))
        if folded:
            fold(found)
        join(found)
        bundle(found)
        return found if len(found.boxes) <= most else None

    outlines = (
        [outlined(depth, MOST_BOXES, False)] if depth is not None else _readable(outlined, max(map(_depth, known)))
    )
    for found in outlines:
        layout = None if found is None else lay_out(found, {part: size_of(part) for part in found.root.walk()})
        if found is not None and layout is not None:
            return drawn(found, layout, graph.name)
    hint = "draw it less deep, as with `--depth 1`" if depth else "put what it does into blocks"
    raise error("E332", f"`{graph.name}` has too many boxes or arrows for a picture", hint=hint)


def _readable(outlined: Callable[[int, int, bool], Outline | None], deepest: int) -> list[Outline | None]:
    """The outlines that can be read, deeper ones first. In the last of them only the first of like frames is open."""
    found = [outlined(1, MOST_BOXES, False)]
    # Where there is too much already there is no less of it deeper.
    for depth in range(2, deepest + 1) if found[0] is not None else ():
        deeper = outlined(depth, READABLE, False)
        if deeper is None:
            found.append(outlined(depth, READABLE, True))
            break
        found.append(deeper)
    return found[::-1]


def _whole(graph: Graph, depth: int) -> Outline | None:
    """The outline in which every list that is a box is a part of the network: others are as many boxes as they hold."""
    dissolved: set[str] = set()
    while True:
        found = outline(graph, depth, dissolved)
        loose = set[str]() if found is None else _loose(found)
        if not loose:
            return found
        dissolved |= loose


def _loose(found: Outline) -> set[str]:
    """The paths of lists that get something from what they give something to, or whose elements go separate ways."""
    import networkx as nx

    lists = [box for box in found.boxes if box.ties]
    arrows = nx.DiGraph(list(found.edges))
    circular = {part for parts in nx.strongly_connected_components(arrows) if len(parts) > 1 for part in parts}
    return {
        part.path for part in lists if part in circular or nx.number_connected_components(nx.Graph(list(part.ties))) > 1
    }


def _depth(path: str) -> int:
    return path.count(".") + bool(path)
