"""What a probabilistic circuit is: leaves over single variables, then layers of products and of weighted sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.source import error

LEAVES = "leaves"
"""The path of the leaves' distributions: logarithms, [leaves, categories]."""

Weights: TypeAlias = "dict[str, Array]"


@dataclass(frozen=True, eq=False)
class Layer:
    """Nodes that read those of the layer before: `edges` [E, 2] are pairs of a node and what it reads, in order."""

    nodes: int
    edges: Array

    @property
    def node(self) -> Array:
        """The node of each edge."""
        return self.edges[:, 0]

    @property
    def child(self) -> Array:
        """What each edge reads."""
        return self.edges[:, 1]


class Products(Layer):
    """Each node is the product of what it reads, of which no two are over one variable."""


class Sums(Layer):
    """Each node is a weighted sum of what it reads, all of it over the same variables."""


@dataclass(frozen=True, eq=False)
class Circuit:
    """A distribution of variables that have one of `categories` each; the last layer is a sum of one node.

    `leaves` [L] has the variable of each leaf, whose distribution is a row of the weight `leaves`; the logarithms of
    the weights of layer i are `layer.i`, one for each of its edges, and their exponentials sum to 1 for each node.
    """

    variables: int
    categories: int
    leaves: Array
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        """Raises E945 for layers that do not follow one another."""
        below = len(self.leaves)
        for i, layer in enumerate(self.layers):
            reads = set(layer.node.tolist()) == set(range(layer.nodes)) and 0 <= layer.child.min() < below
            if not reads or layer.child.max() >= below or (np.diff(layer.node) < 0).any():
                what = f"layer {i} of a circuit has {layer.nodes} nodes in order, each of which reads some of {below}"
                raise error("E945", what, hint="sort the edges by their nodes, and leave out nodes that read none")
            below = layer.nodes
        if not self.layers or not isinstance(self.layers[-1], Sums) or below != 1:
            raise error("E945", "a circuit ends in a sum of one node")

    @property
    def sums(self) -> dict[str, Sums]:
        """The layers that have weights, by their paths."""
        return {f"layer.{i}": layer for i, layer in enumerate(self.layers) if isinstance(layer, Sums)}

    @property
    def edges(self) -> int:
        """How many edges have weights."""
        return sum(len(layer.edges) for layer in self.sums.values())


def balanced(variables: int, categories: int, latents: int) -> Circuit:
    """A circuit that halves the variables again and again: each part has so many sums over all products of its halves.

    A hidden Markov tree in the shape of a balanced binary tree. Raises E945 for sizes that are none.
    """
    if min(variables, categories, latents) < 1:
        raise error("E945", "a circuit has a variable, a category and a latent state at least")
    parts = variables
    layers: list[Layer] = []
    while parts > 1:
        layers.append(_paired(parts, latents))
        parts = (parts + 1) // 2
        layers.append(_mixed(parts, latents, latents if parts > 1 else 1))
    if not layers:
        layers.append(_mixed(1, latents, 1))
    return Circuit(variables, categories, np.repeat(np.arange(variables), latents), tuple(layers))


def start(circuit: Circuit, seed: int = 0) -> Weights:
    """Random weights: logarithms of uniform numbers, normalised."""
    rng: Any = np.random.default_rng(seed)
    leaves = np.log(rng.uniform(0.1, 1.0, (len(circuit.leaves), circuit.categories)))
    sums = {path: np.log(rng.uniform(0.1, 1.0, len(layer.edges))) for path, layer in circuit.sums.items()}
    return normalised(circuit, {LEAVES: leaves, **sums})


def normalised(circuit: Circuit, weights: Weights) -> Weights:
    """The weights with the sum 1 for each leaf and each sum, in float64 logarithms."""
    leaves = weights[LEAVES] - _logsumexp(weights[LEAVES])
    return {LEAVES: leaves, **{path: _of_nodes(layer, weights[path]) for path, layer in circuit.sums.items()}}


def joined(edges: Sequence[tuple[int, int]]) -> Array:
    """Edges in the order of their nodes."""
    found: Array = np.array(sorted(edges), np.int64).reshape(-1, 2)
    return found


def _paired(parts: int, latents: int) -> Products:
    """Neighbouring parts as one: for each latent state the product of both. A part that is left over stays."""
    nodes = [(part // 2 * latents + k, part * latents + k) for part in range(parts) for k in range(latents)]
    return Products((parts + 1) // 2 * latents, joined(nodes))


def _mixed(parts: int, below: int, above: int) -> Sums:
    """For each part sums over all of its nodes."""
    edges = [(p * above + a, p * below + b) for p in range(parts) for a in range(above) for b in range(below)]
    return Sums(parts * above, joined(edges))


def _of_nodes(layer: Sums, weights: Array) -> Array:
    largest = np.full(layer.nodes, -np.inf)
    np.maximum.at(largest, layer.node, weights)
    total = np.bincount(layer.node, np.exp(weights - largest[layer.node]), layer.nodes)
    return np.asarray(weights - (largest + np.log(total))[layer.node])


def _logsumexp(rows: Array) -> Array:
    largest = rows.max(axis=1, keepdims=True)
    return np.asarray(largest + np.log(np.exp(rows - largest).sum(axis=1, keepdims=True)))
