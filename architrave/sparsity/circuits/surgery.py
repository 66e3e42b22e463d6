"""Circuits that lose the edges that are used least, and that grow by copies of all of their nodes.

Dang, Liu and Van den Broeck, "Sparse Probabilistic Circuits via Pruning and Growing" (2022).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from architrave.backends.load import compile
from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.autodiff import grad
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.sparsity.circuits.circuit import LEAVES, Circuit, Layer, Sums, Weights, normalised
from architrave.sparsity.circuits.graph import circuit_graph


def pruned(circuit: Circuit, weights: Weights, flow: Mapping[str, Array], share: float) -> tuple[Circuit, Weights]:
    """The circuit without `floor(share * edges)` edges of sums, those of the least flow; weights are normalised anew.

    Of each node the edge that is used most stays. Raises E945 for a share that takes one of these, naming the largest
    that does not, and for one beyond 0 to 1.
    """
    kept = {path: ~mask for path, mask in least_used(circuit, flow, share).items()}
    layers = [
        Sums(layer.nodes, layer.edges[kept[f"layer.{i}"]]) if isinstance(layer, Sums) else layer
        for i, layer in enumerate(circuit.layers)
    ]
    smaller = replace(circuit, layers=tuple(layers))
    left = {path: weights[path][mask] for path, mask in kept.items()}
    return smaller, normalised(smaller, {LEAVES: weights[LEAVES], **left})


def least_used(circuit: Circuit, flow: Mapping[str, Array], share: float) -> dict[str, Array]:
    """Which edges `pruned` takes, by the path of their layer."""
    if not 0 <= share <= 1:
        raise error("E945", f"a share of edges is between 0 and 1, not {share:g}")
    sums = circuit.sums
    parts = [np.where(_most_used(layer, flow[path]), np.inf, flow[path]) for path, layer in sums.items()]
    order: Array = np.concatenate(parts)
    count, free = math.floor(Fraction(str(share)) * circuit.edges), int(np.isfinite(order).sum())
    if count > free:
        largest = f"{math.floor(1000 * free / circuit.edges) / 1000:g}"
        raise error("E945", f"without {share:g} of the edges nodes have none", hint=f"{largest} can go at most")
    gone = np.zeros(len(order), bool)
    gone[np.argsort(order, kind="stable")[:count]] = True
    ends = np.cumsum([len(layer.edges) for layer in sums.values()])[:-1]
    return dict(zip(sums, np.split(gone, ends), strict=True))


def drop_bound(
    circuit: Circuit, weights: Weights, x: Array, gone: Mapping[str, Array], backend: str = "numpy"
) -> float:
    """How much the mean log-likelihood drops at most without some edges: `-mean(log(1 - F(x)))`.

    F is their flow together on an example (Theorem 2 of the paper); infinite where one cannot do without them.
    """
    network = circuit_graph(circuit, normalise=False, marked=gone)
    total = Graph(network.name, network.inputs, (build.sum(network.outputs[0]),), network.weights)
    slope = grad(total, wrt=total.inputs[1:])
    used = compile(slope, backend)(weights, np.asarray(x, np.int64), np.zeros(len(x)))
    left = 1.0 - np.asarray(used, np.float64)
    return math.inf if left.min() <= 0 else float(-np.log(left).mean())


def trimmed(circuit: Circuit, weights: Weights) -> tuple[Circuit, Weights]:
    """The circuit without nodes that nothing reads. The function stays."""
    new = dict(weights)
    layers = list(circuit.layers)
    for i in reversed(range(1, len(layers))):
        used, places = np.unique(layers[i].child, return_inverse=True)
        layers[i] = replace(layers[i], edges=np.stack([layers[i].node, places], axis=1))
        below = layers[i - 1]
        kept = np.isin(below.node, used)
        edges = np.stack([np.searchsorted(used, below.node[kept]), below.child[kept]], axis=1)
        layers[i - 1] = replace(below, nodes=len(used), edges=edges)
        if isinstance(below, Sums):
            new[f"layer.{i - 1}"] = new[f"layer.{i - 1}"][kept]
    used, places = np.unique(layers[0].child, return_inverse=True)
    layers[0] = replace(layers[0], edges=np.stack([layers[0].node, places], axis=1))
    new[LEAVES] = new[LEAVES][used]
    return replace(circuit, leaves=circuit.leaves[used], layers=tuple(layers)), new


def grown(circuit: Circuit, weights: Weights, noise: float = 0.1, seed: int = 0) -> tuple[Circuit, Weights]:
    """The circuit with each node twice but for the last: sums read both copies, products those of their number.

    Weights are halved, and times normal numbers around 1 with a deviation of `noise`; then normalised. Without noise
    the function stays.
    """
    rng: Any = np.random.default_rng(seed)
    new: Weights = {LEAVES: np.concatenate([_noisy(weights[LEAVES], noise, rng) for _ in range(2)])}
    layers: list[Layer] = []
    below = len(circuit.leaves)
    for i, layer in enumerate(circuit.layers):
        copies = 1 if i == len(circuit.layers) - 1 else 2
        mixes = isinstance(layer, Sums)
        pairs = [(a, b) for a in range(copies) for b in range(2) if mixes or a == b]
        edges = np.concatenate([layer.edges + np.array([a * layer.nodes, b * below]) for a, b in pairs])
        order = np.argsort(edges[:, 0], kind="stable")
        layers.append(replace(layer, nodes=copies * layer.nodes, edges=edges[order]))
        if mixes:
            new[f"layer.{i}"] = np.concatenate([_noisy(weights[f"layer.{i}"], noise, rng) for _ in pairs])[order]
        below = layer.nodes
    larger = replace(circuit, leaves=np.tile(circuit.leaves, 2), layers=tuple(layers))
    return larger, normalised(larger, new)


def _most_used(layer: Sums, flow: Array) -> Array:
    """Which edge of each node has the most flow; of equals the first."""
    order = np.lexsort((np.arange(len(flow)), -flow, layer.node))
    first = order[np.searchsorted(layer.node, np.arange(layer.nodes))]
    return np.isin(np.arange(len(flow)), first)


def _noisy(weights: Array, noise: float, rng: Any) -> Array:
    """Logarithms of weights that are multiplied by random numbers, above 0."""
    factors = np.maximum(1.0 + noise * rng.standard_normal(weights.shape), 1e-3)
    return np.asarray(weights + np.log(factors))
