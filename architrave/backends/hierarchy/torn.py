"""Regions that depend on one another in a circle: which of them to dissolve."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import TYPE_CHECKING

from architrave.ir.graph import Node
from architrave.ir.place import Place

if TYPE_CHECKING:
    from architrave.backends.hierarchy.region import Region


def choose(
    items: Set[Node | Region],
    edges: Sequence[tuple[Node | Region, Node | Region]],
    nodes_of: Callable[[Region], Iterable[Node]],
) -> set[Place]:
    """The places to dissolve so that the circles among `items` go away.

    Of each circle the regions that something outside them lies between two nodes of, for example a block
    that applies a layer of the block around it; all its regions where no single one is to blame.
    """
    import networkx as nx

    graph: nx.DiGraph[Node | Region] = nx.DiGraph()
    graph.add_nodes_from(items)
    graph.add_edges_from(edges)
    chosen: set[Place] = set()
    for circle in nx.strongly_connected_components(graph):
        regions = [r for r in circle if not isinstance(r, Node)]
        if len(circle) == 1 or not regions:
            continue
        blamed = _not_convex(circle, regions, nodes_of) or regions
        chosen.update(r.place for r in blamed if r.place is not None)
    return chosen


def _not_convex(
    circle: Set[Node | Region], regions: Sequence[Region], nodes_of: Callable[[Region], Iterable[Node]]
) -> list[Region]:
    """The regions of a circle that a path of single nodes leaves and enters again."""
    users: dict[Node, list[Node]] = {}
    inside: dict[Node, Region | Node] = {item: item for item in circle if isinstance(item, Node)}
    for region in regions:
        inside.update(dict.fromkeys(nodes_of(region), region))
    for node in inside:
        for operand in node.operands:
            users.setdefault(operand.node, []).append(node)
    return [r for r in regions if _comes_back(r, users, inside)]


def _comes_back(region: Region, users: dict[Node, list[Node]], inside: dict[Node, Region | Node]) -> bool:
    own = [n for n, item in inside.items() if item is region]
    pending = [u for n in own for u in users.get(n, ()) if inside.get(u, region) is not region]
    seen: set[Node] = set()
    while pending:
        node = pending.pop()
        if node in seen or node not in inside:
            continue
        if inside[node] is region:
            return True
        seen.add(node)
        pending += users.get(node, ())
    return False
