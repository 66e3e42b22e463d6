"""The layers of a network that can be taken apart, and what their maps cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from architrave.ir import cost
from architrave.ir.arrays import Array
from architrave.ir.dims import Size, substitute, symbols
from architrave.ir.graph import Graph
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error, printable
from architrave.passes import Select
from architrave.passes.factorize.chain import Layer, layer_of

By = Literal["parameters", "macs"]
"""What is counted: numbers that are trained, or multiply-adds of one example."""


@dataclass(frozen=True)
class Extent:
    """How often a map before the window runs, and how often one behind it, along each axis; once to count numbers."""

    inside: tuple[int, ...]
    outside: tuple[int, ...]

    @property
    def before(self) -> int:
        """The positions of the input."""
        return math.prod(self.inside)

    @property
    def behind(self) -> int:
        """The positions of the result."""
        return math.prod(self.outside)

    def between(self, axes: int) -> int:
        """The positions when the window has slid along the first so many axes."""
        return math.prod((*self.outside[:axes], *self.inside[axes:]))


def layers(graph: Graph, only: Select | None = None) -> list[Layer]:
    """The convolutions and linear layers with a weight of their own, outside of loops and branches, in order."""
    chosen = only or Select()
    nodes = (
        node
        for node in graph.nodes
        if isinstance(node.op, Conv | Linear)
        and chosen.matches(node)
        and all(fact.name != "keep" for fact in node.facts)
    )
    found = (layer_of(graph, node) for node in nodes)
    return [layer for layer in found if isinstance(layer, Layer)]


def extent(graph: Graph, layer: Layer, by: By) -> Extent:
    """Where the maps of a layer run. Raises E931 for multiply-adds whose number the run alone knows."""
    if by == "parameters":
        ones = (1,) * len(layer.kernel)
        return Extent(ones, ones)
    x, y = layer.node.operands[0], layer.node.outputs[0]
    if not layer.kernel:
        rows = (math.prod(_sizes(graph, x.shape[:-1])),)
        return Extent(rows, rows)
    return Extent(_sizes(graph, x.shape[2:]), _sizes(graph, y.shape[2:]))


def total(graph: Graph, by: By) -> int:
    """What a whole network has of it. Raises E931 where the run alone knows."""
    found = cost.parameters(graph) if by == "parameters" else cost.multiply_adds(graph)
    return _sizes(graph, (found,))[0]


def weight_of(layer: Layer, weights: Mapping[str, Any]) -> Array:
    """The weight of a layer in float64. Raises E512 where it is missing, E807 where it holds no finite numbers."""
    path = path_of(layer.weight)
    if path not in weights:
        raise error("E512", f"the weight `{printable(path)}` is missing", layer.node.span)
    found = np.asarray(weights[path], np.float64)
    if found.shape != layer.sizes:
        raise error("E513", f"the weight `{printable(path)}` is {layer.weight.type}, not {list(found.shape)}")
    if not np.isfinite(found).all():
        hint = "a network with such weights computes nothing: did its training diverge?"
        raise error("E807", f"`{printable(path)}` holds what is not a finite number", hint=hint)
    return found


def _sizes(graph: Graph, shape: tuple[Size, ...]) -> tuple[int, ...]:
    """Sizes for one example: what the first axis of the inputs is called is 1."""
    batch = {name: 1 for x in graph.inputs for size in x.shape[:1] for name in symbols(size)}
    found = tuple(substitute(size, batch) for size in shape)
    known = tuple(size for size in found if isinstance(size, int))
    if len(known) < len(found):
        shown = next(size for size in found if not isinstance(size, int))
        hint = "count parameters, or write the sizes of the inputs as numbers"
        raise error("E931", f"the multiply-adds of `{graph.name}` depend on {shown}", hint=hint)
    return known
