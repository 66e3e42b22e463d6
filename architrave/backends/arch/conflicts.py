"""Places that cannot be blocks of a file: what they hold is needed outside of them, or has no name there."""

from __future__ import annotations

from collections.abc import Iterator

from architrave.backends.arch.paths import is_path
from architrave.backends.hierarchy import Chain, Region, bodies_of, post_order
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import innermost_first
from architrave.ir.ops.control import Choice, CustomGrad, While
from architrave.ir.ops.leaves import Param, State
from architrave.ir.place import Place


class Torn(Exception):
    """These places are to be written in the blocks around them."""

    def __init__(self, places: set[Place]) -> None:
        super().__init__()
        self.places = places


def unwritable(graph: Graph) -> set[Place]:
    """The places of fns, which are written where they are used, and of all in sub-graphs that become fns."""
    found: set[Place] = set()
    inside: set[int] = set()
    parts = list(innermost_first(graph))
    for part in reversed(parts):
        for node in part.nodes:
            becomes_fn = id(part) in inside or isinstance(node.op, Choice | CustomGrad)
            for body in bodies_of(node.op):
                if becomes_fn or (isinstance(node.op, While) and body is node.op.condition):
                    inside.add(id(body))
    seen: set[Place] = set()
    for part in parts:
        for node in part.nodes:
            place = node.place
            while place is not None and (id(part) in inside or place not in seen):
                seen.add(place)
                is_fn = place.block is not None and place.block.kind == "fn"
                if is_fn or (id(part) in inside and _below(place, part)):
                    found.add(place)
                elif id(part) in inside:
                    break
                place = place.parent
    return found


def _below(place: Place, graph: Graph) -> bool:
    return graph.place is None or (place is not graph.place and place.above(graph.place) is not None)


def misplaced(root: Region) -> set[Place]:
    """The places of regions whose weights others need, and of those with names that no instance can have."""
    found: set[Place] = set()
    owners: dict[Value, list[Region]] = {}
    regions = post_order(root)
    for region in regions:
        for weight in region.weights:
            owners.setdefault(weight, []).append(region)
        if region.parent is not None and region.place is not None and not is_path(region.parent.relative(region.path)):
            found.add(region.place)
    for region in regions:
        own = set(region.weights)
        for value in _weights_in(region):
            if region.owns(value.op.path) and value not in own:  # type: ignore[attr-defined]  # a weight has a path
                found.update(r.place for r in owners.get(value, ()) if r.place is not None and r.parent is not None)
    return found


def _weights_in(region: Region) -> Iterator[Value]:
    """The weights that a region uses itself, hands on, or sets."""
    yield from (state for state, _ in region.updates)
    pending = [region]
    while pending:
        part = pending.pop()
        yield from (v for v in part.results if isinstance(v.op, Param | State))
        for item in part.items:
            if isinstance(item, Node):
                pending += part.bodies.get(item, ())
            values = item.operands if isinstance(item, Node) else item.inputs
            yield from (v for v in values if isinstance(v.op, Param | State))
            if isinstance(item, Chain):
                yield from (v for r in item.regions for v in r.inputs if isinstance(v.op, Param | State))
