"""Blocks and functions that get no definition of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from architrave.backends.hierarchy.region import bodies_of, is_leaf
from architrave.ir.graph import Graph, Node
from architrave.ir.nested import innermost_first
from architrave.ir.ops.control import Mode
from architrave.ir.ops.leaves import path_of
from architrave.ir.ops.random import RandomBernoulli, RandomBits, RandomNormal, RandomUniform
from architrave.ir.place import Place

SMALL = 3
"""A fn, or a block without weights, of fewer nodes is not worth a definition of its own."""

_OF_A_BLOCK = (Mode, RandomBits, RandomUniform, RandomNormal, RandomBernoulli)
"""Operators that need to know which network they are part of."""


def undefined(graph: Graph) -> set[Place]:
    """Places that are too small for a definition, and functions that need more than their arguments.

    A function has no module of its own, so it can reach no weights, no mode and no place for random numbers.
    """
    prefixes = {prefix for weight in graph.weights for prefix in paths_above(path_of(weight))}
    sizes: dict[int, int] = {}
    gone: set[Place] = set()
    for part in innermost_first(graph):
        nodes = [n for n in part.nodes if not is_leaf(n)]
        weights = {n: 1 + sum(sizes[id(inner)] for inner in bodies_of(n.op)) for n in nodes}
        sizes[id(part)] = sum(weights.values())
        for place, size in _totals(weights, part.place).items():
            if size < SMALL and not _has_weights(place, prefixes):
                gone.add(place)
            elif _has_weights(place, prefixes):
                gone.update(_functions(place.parent))
        for node in nodes:
            if isinstance(node.op, _OF_A_BLOCK):
                gone.update(_functions(node.place))
    return gone


def _totals(weights: dict[Node, int], base: Place | None) -> dict[Place, int]:
    """How large the places below `base` are, with all that lies within them."""
    totals: dict[Place, int] = {}
    for node, weight in weights.items():
        if node.place is not None:
            totals[node.place] = totals.get(node.place, 0) + weight
    for place in sorted(_with_ancestors(totals), key=lambda p: -p.depth):
        if place.parent is not None:
            totals[place.parent] = totals.get(place.parent, 0) + totals.get(place, 0)
    for above in _chain(base):
        totals.pop(above, None)
    return totals


def _has_weights(place: Place, prefixes: set[str]) -> bool:
    return place.block is not None and place.block.kind != "fn" and place.path in prefixes


def _functions(place: Place | None) -> Iterator[Place]:
    """The fns that a place lies directly in."""
    for above in _chain(place):
        if above.block is None or above.block.kind != "fn":
            return
        yield above


def _chain(place: Place | None) -> Iterator[Place]:
    while place is not None:
        yield place
        place = place.parent


def paths_above(path: str) -> Iterator[str]:
    """The paths above one, the longest first."""
    while path := path.rpartition(".")[0]:
        yield path


def _with_ancestors(places: Iterable[Place]) -> set[Place]:
    found: set[Place] = set()
    for place in places:
        for above in _chain(place):
            if above in found:
                break
            found.add(above)
    return found
