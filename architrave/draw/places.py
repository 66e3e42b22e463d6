"""Which places and graphs have instances with names in them."""

from __future__ import annotations

from architrave.ir.graph import Graph, Node
from architrave.ir.nested import innermost_first
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice, CustomGrad, Mode, Scan, While
from architrave.ir.place import Place


def bodies_of(op: Op) -> tuple[Graph, ...]:
    """The graphs of an operator that are drawn."""
    match op:
        case Choice(alternatives=graphs):
            return graphs
        case CustomGrad(forward=graph) | Mode(inference=graph) | Scan(body=graph) | While(body=graph):
            return (graph,)
        case _:
            return ()


def holders(graph: Graph) -> set[Place | Node]:
    """The places, and the nodes that hold graphs, inside which some instance has a name."""
    found: set[Place | Node] = set()
    holding: set[int] = set()
    for part in innermost_first(graph):
        seen: set[Place] = set()
        for node in part.nodes:
            inside = any(id(body) in holding for body in bodies_of(node.op))
            if inside:
                found.add(node)
            if _mark(node, inside, part.place, found, seen):
                holding.add(id(part))
    return found


def _mark(node: Node, inside: bool, base: Place | None, found: set[Place | Node], seen: set[Place]) -> bool:
    """Note the places above a node that hold named ones. Returns whether there is a named one below `base`."""
    named = inside
    place = node.place
    while place is not None and place is not base:
        if place in found or (place in seen and not named):
            return True if place in found else named
        seen.add(place)
        if named:
            found.add(place)
        named = named or bool(place.segment)
        place = place.parent
    return named


def below(place: Place | None, base: Place | None) -> list[Place]:
    """The places from below `base` down to `place`. The model itself is none."""
    chain: list[Place] = []
    while place is not None and place is not base:
        if place.parent is not None or place.segment:
            chain.append(place)
        place = place.parent
    return chain[::-1]
