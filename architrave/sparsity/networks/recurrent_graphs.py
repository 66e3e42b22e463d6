"""Recurrent networks in the shape of random graphs: a unit for each node, a connection for each edge.

Darji, "Investigating Sparsity in Recurrent Neural Networks" (2024), after Stier and Granitzer, "Structural Analysis of
Sparse Neural Networks" (2019). Watts and Strogatz, "Collective Dynamics of 'Small-World' Networks" (1998); Barabási and
Albert, "Emergence of Scaling in Random Networks" (1999).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, nearest
from architrave.models import loads
from architrave.passes import apply
from architrave.sparsity.masks.masked import layers as masked_layers
from architrave.sparsity.masks.masked import with_masks

if TYPE_CHECKING:
    import networkx as nx

UNITS: Mapping[str, tuple[str, int]] = {
    "tanh": ("rnn", 1),
    "relu": ("(n) => rnn(n, activation = relu)", 1),
    "gru": ("gru", 3),
    "lstm": ("lstm", 4),
}
"""What a layer of a network may be, in the language, and how many gates each unit of it has."""


@dataclass(frozen=True)
class Layered:
    """A graph without cycles, its nodes in layers: each is as far from a source as the longest path to it is long.

    `edges` are pairs of nodes, from the lower number to the higher one.
    """

    nodes: int
    edges: frozenset[tuple[int, int]]

    @cached_property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        """The nodes of each layer, in order."""
        before: list[list[int]] = [[] for _ in range(self.nodes)]
        for a, b in self.edges:
            before[b].append(a)
        depth: list[int] = []
        for node in range(self.nodes):
            depth.append(max((depth[a] + 1 for a in before[node]), default=0))
        found: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
        for node in range(self.nodes):
            found[depth[node]].append(node)
        return tuple(map(tuple, found))

    @cached_property
    def joins(self) -> tuple[tuple[int, ...], ...]:
        """The layers that each layer reads, in order."""
        read: list[set[int]] = [set() for _ in self.layers]
        for a, b in self.edges:
            read[self.layer_of[b]].add(self.layer_of[a])
        return tuple(tuple(sorted(each)) for each in read)

    @cached_property
    def layer_of(self) -> Mapping[int, int]:
        """The number of the layer of each node."""
        return {node: i for i, layer in enumerate(self.layers) for node in layer}

    @property
    def sinks(self) -> tuple[int, ...]:
        """The nodes from which no edge leads on."""
        left = {a for a, _ in self.edges}
        return tuple(node for node in range(self.nodes) if node not in left)

    def as_networkx(self) -> nx.DiGraph[int]:
        """The graph for networkx."""
        import networkx as nx

        result: nx.DiGraph[int] = nx.DiGraph()
        result.add_nodes_from(range(self.nodes))
        result.add_edges_from(sorted(self.edges))
        return result


def watts_strogatz(nodes: int, neighbours: int, rewired: float, seed: int = 0) -> Layered:
    """A ring whose nodes know their neighbours, of which a share is rewired. Raises E944 for one that there is not."""
    nx = _networkx()
    _check(nodes, 1 <= neighbours < nodes and 0 <= rewired <= 1, "neighbours below the nodes, a share from 0 to 1")
    return layered(nx.watts_strogatz_graph(nodes, neighbours, rewired, seed=seed))


def barabasi_albert(nodes: int, edges: int, seed: int = 0) -> Layered:
    """A graph that grows by nodes with so many edges, rather to nodes of many. Raises E944 for none."""
    nx = _networkx()
    _check(nodes, 1 <= edges < nodes, "fewer edges of a new node than nodes")
    return layered(nx.barabasi_albert_graph(nodes, edges, seed=seed))


def layered(graph: nx.Graph[Any]) -> Layered:
    """A graph with each edge from the node that comes first to the other one, which leaves no cycle."""
    number = {node: i for i, node in enumerate(graph.nodes)}
    pairs = ((number[a], number[b]) for a, b in graph.edges if a != b)
    return Layered(len(number), frozenset((min(pair), max(pair)) for pair in pairs))


def recurrent_network(
    shape: Layered, features: int, classes: int, unit: str = "tanh"
) -> tuple[Graph, dict[str, Array]]:
    """A network [N, T, features] -> [N, T, classes] whose recurrent units are the nodes, and the masks of its weights.

    Sources read the input and sinks give the output; each layer reads those before it, skipping any number of them, and
    its own last state. A state `graph.layer.1.cell.weight_ih_mask` is true where there is an edge, for all gates. Begin
    with `start(graph, masks)`. Raises E944 for an empty graph, and a unit that there is not.
    """
    if unit not in UNITS:
        raise error("E944", f"there is no recurrent unit `{unit}`", hint=nearest(unit, UNITS) or f"{', '.join(UNITS)}")
    _check(shape.nodes, True, "")
    text, gates = UNITS[unit]
    sizes, joins = [len(layer) for layer in shape.layers], [list(join) for join in shape.joins]
    source = f"""
from std.linear import linear
from std.recurrent import gru, layered_recurrence, lstm, rnn

model Recurrent(classes: int = {int(classes)})(x: [N, T, {int(features)}]) -> [N, T, classes] {{
    return x -> graph: layered_recurrence({sizes}, {joins}, {text})
             -> head: linear(classes)
}}
"""
    graph = apply(loads(source), "mask").graph
    return graph, _masks(graph, shape, gates)


def start(graph: Graph, masks: Mapping[str, Array], seed: int = 0) -> dict[str, Array]:
    """The weights that a network begins with, under its masks."""
    from architrave.ir.initializers import init

    return with_masks(graph, init(graph, seed), masks)


def statistics(shape: Layered) -> dict[str, float]:
    """What a graph is like, without its directions where these do not count; of a graph in pieces the largest one.

    The means of centralities are over nodes; `path length` is the mean of the shortest ones between two nodes.
    """
    nx = _networkx()
    directed = shape.as_networkx()
    graph = directed.to_undirected()
    largest = graph.subgraph(max(nx.connected_components(graph), key=len))
    at = shape.layer_of
    return {
        "nodes": shape.nodes,
        "edges": len(shape.edges),
        "layers": len(shape.layers),
        "skips": sum(at[b] - at[a] > 1 for a, b in shape.edges),
        "sources": len(shape.layers[0]),
        "sinks": len(shape.sinks),
        "density": nx.density(graph),
        "diameter": nx.diameter(largest),
        "path length": nx.average_shortest_path_length(largest),
        "clustering": nx.average_clustering(graph),
        "degree centrality": _mean(nx.degree_centrality(graph)),
        "closeness centrality": _mean(nx.closeness_centrality(graph)),
        "betweenness centrality": _mean(nx.betweenness_centrality(graph)),
    }


def _masks(graph: Graph, shape: Layered, gates: int) -> dict[str, Array]:
    """The masks of what layers read of one another, and of the output."""
    every = [node for layer in shape.layers for node in layer]
    sizes = {layer.path: layer.shape for layer in masked_layers(graph)}
    found = {"head.weight": np.broadcast_to(np.isin(every, shape.sinks), sizes["head.weight"]).copy()}
    for i, (nodes, joins) in enumerate(zip(shape.layers, shape.joins, strict=True)):
        read = [node for j in joins for node in shape.layers[j]]
        edges = np.array([[(a, b) in shape.edges for a in read] for b in nodes], bool)
        if read:
            found[f"graph.layer.{i}.cell.weight_ih"] = np.tile(edges, (gates, 1))
    return found


def _check(nodes: int, holds: bool, needs: str) -> None:
    if nodes < 1:
        raise error("E944", f"a graph of {nodes} nodes has none to compute with")
    if not holds:
        raise error("E944", f"there is no such graph of {nodes} nodes", hint=f"it takes {needs}")


def _mean(values: Mapping[Any, float]) -> float:
    return float(np.mean(list(values.values())))


def _networkx() -> Any:
    """networkx, whose own types leave much open."""
    import networkx

    return networkx
