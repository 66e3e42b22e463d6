"""Networks whose nodes are there or not, made smaller by those that are not.

Kong, Yang, Kim, Ohn and Kim, "Masked Bayesian Neural Networks: Theoretical Guarantee and its Posterior Inference"
(2023): `std.bayesian.masked_node_mlp` has a state `nodes` of 0 and 1 for each hidden layer, which who samples sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.axes.groups import Group, groups
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import State
from architrave.ir.source import error
from architrave.passes import Transformed, apply
from architrave.passes.structure.cut import cut

NODES = "nodes"


def sliced(network: Graph, weights: Mapping[str, Any]) -> Transformed:
    """The network without the nodes that `nodes` switch off: its first output is the same, and it is smaller.

    Other outputs, such as log priors, which count nodes, are left out. Raises E924 for a network without such nodes,
    E927 for nodes that are NaN, E920 to E922 where they cannot be cut, or none would be left.
    """
    plain = apply(
        Graph(network.name, network.inputs, network.outputs[:1], network.weights, place=network.place), "clean"
    )
    found = groups(plain.graph)
    chosen: dict[Group, Array] = {}
    for group in found:
        active = [np.asarray(weights[m.path]) for m in group.members if _are_nodes(m.weight.op)]
        if active:
            chosen[group] = _places(active)
    if not chosen:
        hint = "hidden layers of `std.bayesian.masked_node_mlp` have states called `nodes`"
        raise error("E924", f"`{network.name}` has no nodes that can be switched off", hint=hint)
    rewritten = cut(found, chosen)
    prepares = () if rewritten.prepare is None else (rewritten.prepare,)
    return replace(plain, graph=rewritten.graph, prepares=(*plain.prepares, *prepares))


def _are_nodes(op: object) -> bool:
    return isinstance(op, State) and op.path.rpartition(".")[2] == NODES


def _places(active: list[Array]) -> Array:
    """Where nodes are on, by all of what says so."""
    if any(np.isnan(nodes).any() for nodes in active):
        raise error("E927", "nodes that are switched on or off hold NaN", hint="they are 0 or 1")
    return np.flatnonzero(np.all([nodes != 0 for nodes in active], axis=0))
