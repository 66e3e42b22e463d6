"""Leaving out what no output needs."""

from __future__ import annotations

from dataclasses import replace

from architrave.ir.graph import Graph
from architrave.passes.base import Pass
from architrave.passes.journal import Journal


class Dead(Pass):
    """Weights that nothing uses are left out. Other nodes that nothing uses are never part of a graph."""

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """States that are updated stay, used or not."""
        weights = set(graph.weights)
        used = {v for node in graph.nodes for v in node.operands if v in weights}
        used.update(v for v in (*graph.outputs, *(v for pair in graph.updates for v in pair)) if v in weights)
        if len(used) == len(weights):
            return graph
        for weight in graph.weights:
            if weight not in used:
                journal.changed("dead", weight.node)
        left = tuple(w for w in graph.weights if w in used)
        return replace(graph, weights=left)
