"""What a smaller network would start from, if it were trained anew."""

from __future__ import annotations

import math
from collections.abc import Mapping

from architrave.ir.dims import product
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.ops.leaves import Initial, Param, path_of
from architrave.ir.rewrite import rebuild


def restarted(before: Graph, after: Graph) -> Graph:
    """The smaller network, whose layers start as ones of their size do: uniform within `1 / sqrt(inputs)`.

    Only layers that started so at their old size. They are then again what the standard library calls `linear` or
    `conv2d`, and the file of the network says so.
    """
    old, new = _bounds(before), _bounds(after)
    changed = {layer: (old[layer], new[layer]) for layer in new if layer in old and new[layer] != old[layer]}

    def started(node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        match node.op:
            case Param(path=path, type=type, initial=Initial("uniform", (low, high))):
                was, now = changed.get(_layer(path), (0.0, 0.0))
                if now == 0.0 or (low, high) != (-was, was):
                    return None
                return make(Param(path, type, Initial("uniform", (-now, now))), operands, node.marks).outputs
            case _:
                return None

    return rebuild(after, started) if changed else after


def _bounds(graph: Graph) -> Mapping[str, float]:
    """For each layer `1 / sqrt(inputs)`, by its weight."""
    weights = {path_of(w): w.shape for w in graph.weights if w.rank > 1}
    inputs = {_layer(path): product(shape[1:]) for path, shape in weights.items() if path.endswith("weight")}
    return {layer: 1 / math.sqrt(size) for layer, size in inputs.items() if isinstance(size, int) and size}


def _layer(path: str) -> str:
    return path.rpartition(".")[0]
