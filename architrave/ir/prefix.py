"""A network as a part of a larger one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.nested import rebuild_nested, with_leaves
from architrave.ir.op import Op
from architrave.ir.place import Place, marked, moved


def prefixed(graph: Graph, segment: str, inside: Place | None = None, inputs: Sequence[Value] = ()) -> Graph:
    """The network at `segment` inside another place: all of its places, weights, draws and decisions lie below it.

    The weight `conv.weight` becomes `segment.conv.weight`, below the path of `inside`. That is a place of the larger
    network, a new one unless given; with `inputs` the network is computed from these, which have the types of its own.
    """
    outer = inside or Place("", graph.place.block if graph.place is not None else None)
    block = graph.place.block if graph.place is not None else None
    inner = Place(segment, None if block is None else dataclasses.replace(block, kind="block"), outer)
    places: dict[Place | None, Place | None] = {graph.place: inner}
    with marked(place=outer):
        fresh = inputs or [placeholder(v.hint or "x", v.type) for v in graph.inputs]
    given: Mapping[Value, Value] = dict(zip(graph.inputs, fresh, strict=True))

    path = f"{outer.path}.{segment}" if outer.path else segment

    def there(leaf: object) -> object:
        return dataclasses.replace(leaf, place=moved(leaf.place, places)) if isinstance(leaf, Graph) else leaf

    def offered(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value]:
        if node.outputs[0] in given:
            return (given[node.outputs[0]],)
        op = with_leaves(_below(path, op), there)
        copy = make(op, operands, dataclasses.replace(node.marks, place=moved(node.place, places)))
        copy.hints.update(node.hints)
        return copy.outputs

    return dataclasses.replace(rebuild_nested(graph, offered), place=outer)


def _below(segment: str, op: Op) -> Op:
    """The operator with its path, if it has one, below the segment."""
    if "path" not in op.attributes:
        return op
    here: Any = op  # which operators have a path is known when they run
    below: Op = dataclasses.replace(here, path=f"{segment}.{here.path}")
    return below


def prefixed_weights(weights: Mapping[str, Any], segment: str) -> dict[str, Any]:
    """The weights of a network, as they are called where it is part of another."""
    return {f"{segment}.{path}": weight for path, weight in weights.items()}
