"""What rounding costs: the ratio of signal to noise, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.interpret import interpret
from architrave.ir.ops.quantize import FakeQuantize
from architrave.passes.quantize.rounding.rounded import CONTRACTIONS, handed_on
from architrave.passes.quantize.rounding.sites import weight_sites
from architrave.quantize.unrounded import unrounded
from architrave.record.recorder import Recorder, silent


@dataclass
class Ratio:
    """The squares of what should be, and of the error, each added up."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, wanted: Array, found: Array) -> None:
        """Compare more numbers."""
        exact = wanted.astype(np.float64)
        self.signal += float(np.square(exact).sum())
        self.noise += float(np.square(found - exact).sum())

    @property
    def decibels(self) -> float:
        """10 log10(signal / noise); infinite without noise."""
        if not self.noise:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf


@dataclass(frozen=True)
class Layer:
    """A contraction of a network with quantizers: in how many bits its operands are, and what is lost."""

    node: Node
    output: Ratio
    """Of its result, with all that was rounded before it."""
    weight: Ratio | None = None
    """Of its weight alone."""

    @property
    def name(self) -> str:
        """Its place, or what it computes."""
        return str(self.node.place or "") or self.node.op.name

    @property
    def bits(self) -> tuple[int | None, ...]:
        """The bits of its two operands; None for one that stays in floats."""
        return tuple(_bits(quantizer(v)) for v in self.node.operands[:2])


def layers(
    graph: Graph,
    weights: Mapping[str, Any],
    original: Mapping[str, Any],
    batches: Iterable[Sequence[Any]],
    *,
    backend: str = "torch",
    progress: Callable[[int], object] = silent,
) -> list[Layer]:
    """The contractions of a network with quantizers, compared with those of the float network.

    `graph` is what the pass `quantize` made, `weights` are its weights after calibration and rounding, and `original`
    before them. Both networks run on the batches, side by side.
    """
    plain, there = unrounded(graph)
    alone = _weights(graph, weights, original)
    nodes = [node for node in graph.nodes if isinstance(node.op, CONTRACTIONS)]
    found = [Layer(node, Ratio(), alone.get(quantizer(node.operands[1]))) for node in nodes]
    names = {str(i): layer.node.outputs[0] for i, layer in enumerate(found)}
    given = [tuple(map(np.asarray, batch)) for batch in batches] if found else []
    exact = Recorder(plain, {name: there[value] for name, value in names.items()}, backend).stream(original, given)
    rounded = Recorder(graph, names, backend).stream(weights, given, progress)
    for wanted, got in zip(exact, rounded, strict=True):
        for i, layer in enumerate(found):
            layer.output.add(wanted[str(i)], got[str(i)])
    return found


def quantizer(value: Value) -> Node | None:
    """The quantizer of a value, which may have been moved since."""
    while (inner := handed_on(value.node)) is not None:
        value = value.node.operands[inner]
    return value.node if isinstance(value.op, FakeQuantize) else None


def _bits(rounding: Node | None) -> int | None:
    return rounding.op.bits if rounding is not None and isinstance(rounding.op, FakeQuantize) else None


def _weights(graph: Graph, weights: Mapping[str, Any], original: Mapping[str, Any]) -> dict[Node | None, Ratio]:
    """The noise in each rounded weight, by its quantizer."""
    sites = weight_sites(graph)
    exact, rounded = (
        interpret(Graph(graph.name, (), tuple(values), weights=graph.weights), (), held).outputs
        for values, held in (([s.value for s in sites], original), ([s.rounded for s in sites], weights))
    )
    found: dict[Node | None, Ratio] = {site.node: Ratio() for site in sites}
    for site, wanted, got in zip(sites, exact, rounded, strict=True):
        found[site.node].add(wanted, got)
    return found
