"""What layers of a smaller network are called, and start from, as ones of their size in the standard library."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from architrave.ir.dims import Size, product
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.ops.leaves import Initial, Param, path_of
from architrave.ir.place import Place
from architrave.ir.rewrite import kept, rebuild

OUTPUTS = "out"
"""What the library's layers call the number of their outputs."""


def restarted(before: Graph, after: Graph) -> Graph:
    """The smaller network, whose layers start as ones of their size do, uniform within `1 / sqrt(inputs)`.

    Only layers that started so at their old size. Their places say how many outputs they have now. So they are again
    what the standard library calls `linear` or `conv2d`, and the file of the network says so.
    """
    old, new = _shapes(before), _shapes(after)
    changed = {layer: (old[layer], new[layer]) for layer in new if layer in old and new[layer] != old[layer]}
    places: dict[Place, Place] = {}

    def renewed(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...]:
        place = _resized(node.place, places, changed) if node.place is not None else None
        if isinstance(node.op, Param):
            op = _started(node.op, changed)
            if op is not node.op:
                return make(op, operands, replace(node.marks, place=place)).outputs
        return kept(node, operands, place)

    return rebuild(after, renewed) if changed else after


_Shape = tuple[Size, ...]
_Changed = Mapping[str, tuple[_Shape, _Shape]]
"""The shapes of the weights of layers, before and after, where they differ."""


def _started(op: Param, changed: _Changed) -> Param:
    """A weight that starts in the range of its layer's new size, where it did in that of the old one."""
    match changed.get(_layer(op.path)), op.initial:
        case (was, now), Initial("uniform", (low, high)) if (low, high) == (-_bound(was), _bound(was)):
            return Param(op.path, op.type, Initial("uniform", (-_bound(now), _bound(now))))
        case _:
            return op


def _resized(place: Place, places: dict[Place, Place], changed: _Changed) -> Place:
    """The place with the arguments that its block has now, and those above it."""
    chain: list[Place] = []
    above: Place | None = place
    while above is not None and above not in places:
        chain.append(above)
        above = above.parent
    for below in reversed(chain):
        parent = None if below.parent is None else places[below.parent]
        block, shapes = below.block, changed.get(below.path)
        if block is not None and shapes is not None:
            was, now = shapes[0][0], shapes[1][0]
            arguments = ((k, now if k == OUTPUTS and v == was else v) for k, v in block.arguments)
            block = replace(block, arguments=tuple(arguments))
        same = block is below.block and parent is below.parent
        places[below] = below if same else Place(below.segment, block, parent, below.span)
    return places[place]


def _shapes(graph: Graph) -> dict[str, _Shape]:
    """For each layer the shape of its weight."""
    weights = {path_of(w): w.shape for w in graph.weights if w.rank > 1}
    return {_layer(path): shape for path, shape in weights.items() if path.endswith("weight")}


def _bound(shape: _Shape) -> float:
    size = product(shape[1:])
    return 1 / math.sqrt(size) if isinstance(size, int) and size else 0.0


def _layer(path: str) -> str:
    return path.rpartition(".")[0]
