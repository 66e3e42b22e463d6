"""Blocks and functions that are too small for a definition of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from architrave.backends.hierarchy.region import is_leaf, path_of
from architrave.ir.graph import Graph
from architrave.ir.nested import subgraphs
from architrave.ir.place import Place

SMALL = 3
"""A fn, or a block without weights, of fewer nodes is not worth a definition of its own."""


def too_small(graph: Graph) -> set[Place]:
    """Places too small for a definition, and functions that hold blocks, whose weights they could not reach."""
    sizes: dict[Place, int] = {}
    weighty = {path_of(v).rpartition(".")[0] for v in graph.weights}
    pending = [graph]
    while pending:
        for node in pending.pop().nodes:
            pending += subgraphs(node.op)
            if node.place is not None and not is_leaf(node):
                sizes[node.place] = sizes.get(node.place, 0) + 1
    for place in sorted(_with_ancestors(sizes), key=lambda p: -p.depth):
        if place.parent is not None:
            sizes[place.parent] = sizes.get(place.parent, 0) + sizes.get(place, 0)
    prefixes = {prefix for path in weighty for prefix in _prefixes(path)}
    gone: set[Place] = set()
    for place, size in sizes.items():
        has_weights = place.block is not None and place.block.kind != "fn" and place.path in prefixes
        if size < SMALL and not has_weights:
            gone.add(place)
        above = place.parent
        while has_weights and above is not None and above.block is not None and above.block.kind == "fn":
            gone.add(above)
            above = above.parent
    return gone


def _prefixes(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]


def _with_ancestors(places: Iterable[Place]) -> set[Place]:
    found: set[Place] = set()
    for place in places:
        above: Place | None = place
        while above is not None and above not in found:
            found.add(above)
            above = above.parent
    return found
