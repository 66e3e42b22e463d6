"""Neurons that change places, so that like ones lie side by side and share a scale or a table.

Nothing has to be stored for that: what makes them and what reads them is reordered alike. Yvinec, Dapogny and Bailly,
"Network Memory Footprint Compression Through Jointly Learnable Codebooks and Mappings" (2023), section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import path_of
from architrave.passes.quantize.weights.links import Link, Part, links
from architrave.record.columns import groups_of

Likeness = Callable[[Array], Array]
"""For the rows [O, n] of a weight one number each: those with like numbers come to lie side by side."""


def reach(rows: Array) -> Array:
    """The largest weight of each neuron, without its sign."""
    return np.asarray(np.abs(rows).max(axis=1))


def reordered(graph: Graph, weights: Mapping[str, Any], likeness: Likeness = reach) -> dict[str, Array]:
    """The weights of a float network whose neurons lie in the order of their `likeness`; it computes the same.

    Those between two weights are reordered, by the first weight that makes them. What norms and convolutions in groups
    make or read stays.
    """
    found = {path: np.asarray(w) for path, w in weights.items()}
    for link in links(graph, functions=True):
        if not isinstance(link, Link) or not all(map(_is_dense, (*link.readers, *link.writers))):
            continue
        kernel = found[path_of(next(part for part in link.before if not part.is_shift).weight)]
        order = np.argsort(likeness(kernel.reshape(len(kernel), -1)), kind="stable")
        for part in (*link.before, *link.after):
            path = path_of(part.weight)
            found[path] = _taken(found[path], part, order)
    return found


def _is_dense(node: Node) -> bool:
    """Whether each result of a node depends on all channels, in whatever order these are."""
    return isinstance(node.op, Linear | Conv) and groups_of(node) == 1


def _taken(weight: Array, part: Part, order: Array) -> Array:
    """A weight whose channels are in another order."""
    axis = next((i for i, size in enumerate(part.factors) if size > 1), None)
    if axis is None:
        return weight
    return np.asarray(np.take(weight.reshape(part.view), order, axis=axis).reshape(weight.shape))
