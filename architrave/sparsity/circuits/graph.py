"""Probabilistic circuits as networks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value, apply
from architrave.ir.ops.leaves import Initial
from architrave.ir.storage import constant_of
from architrave.ir.types import DType
from architrave.sparsity.circuits.circuit import LEAVES, Circuit, Layer, Products

START = Initial("uniform", (-1.0, 0.0))


def circuit_graph(circuit: Circuit, *, normalise: bool = True, marked: Mapping[str, Array] | None = None) -> Graph:
    """The network i64 [N, variables] -> [N]: the logarithms of the probabilities of examples.

    A variable of -1 is unknown: its values are summed over. With `normalise` weights are what they are divided by their
    sums, so that any optimizer may train them; without it a gradient by a weight is its flow, its expected use. With
    `marked`, truth values for edges of layers, a second input [N] is added to the logarithms of their weights.
    """
    x = build.input("x", f"i64[N, {circuit.variables}]")
    inputs = [x]
    tilt = None
    if marked is not None:
        tilt = build.input("tilt", "[N]")
        inputs.append(tilt)
    leaves = build.param(LEAVES, f"[{len(circuit.leaves)}, {circuit.categories}]", START)
    logs = build.log_softmax(leaves) if normalise else leaves
    seen = build.take(build.transpose(x, [1, 0]), _indices(circuit.leaves), axis=0)
    known = build.gather(logs, build.maximum(seen, 0), axis=1)
    below: Value = build.where(seen < 0, 0.0, known)
    for i, layer in enumerate(circuit.layers):
        path = f"layer.{i}"
        terms: Value = build.take(below, _indices(layer.child), axis=0)
        if isinstance(layer, Products):
            below = build.segment_sum(terms, _indices(layer.node), count=layer.nodes)
            continue
        weight = _weight(path, layer, normalise)
        if tilt is not None and marked is not None and path in marked:
            chosen = build.cast(_indices(marked[path].astype(np.int64)), dtype=weight.dtype)
            terms = terms + build.unsqueeze(chosen, [1]) * tilt
        below = _logsumexp(terms + weight, layer)
    return build.graph("Circuit", inputs, [build.squeeze(below, [0])])


def _weight(path: str, layer: Layer, normalise: bool) -> Value:
    """The logarithms of the weights of a layer, [E, 1]."""
    weight: Value = build.unsqueeze(build.param(path, f"[{len(layer.edges)}]", START), [1])
    if not normalise:
        return weight
    total = _logsumexp(weight, layer)
    normalised: Value = weight - build.take(total, _indices(layer.node), axis=0)
    return normalised


def _logsumexp(terms: Value, layer: Layer) -> Value:
    """`log(sum(exp(terms)))` over the edges of each node: [E, N] -> [nodes, N]."""
    node = _indices(layer.node)
    largest = build.stop_gradient(build.segment_max(terms, node, count=layer.nodes))
    shifted = build.exp(terms - build.take(largest, node, axis=0))
    result: Value = largest + build.log(build.segment_sum(shifted, node, count=layer.nodes))
    return result


def _indices(array: Array) -> Value:
    return apply(constant_of(array, DType.I64, array.shape))
