"""Choosing one side of what differs between training and inference."""

from __future__ import annotations

from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.passes.base import Pass
from architrave.passes.journal import Journal


class Inference(Pass):
    """The network as it is in inference: each `if training` gives way to its other side."""

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Forward it is the same function, in the one mode that is left."""
        return specialize(graph, training=False)


class Training(Pass):
    """The network as it is in training: each `if training` gives way to that side."""

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Forward it is the same function, in the one mode that is left."""
        return specialize(graph, training=True)
