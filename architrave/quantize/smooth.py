"""Scales that move from activations into weights before either is rounded, by what the activations are on examples.

The network stays the same function: what reads channels is multiplied by what the norm or the layer that makes them is
divided by (`architrave.passes.quantize.weights.links`). So these come before the pass `quantize`, and change weights
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node
from architrave.ir.mode import specialize
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error
from architrave.passes.quantize.weights.links import Link, links
from architrave.quantize.gptq import loss
from architrave.quantize.grid import Grid
from architrave.record.columns import groups_of, hessians
from architrave.record.recorder import Recorder, silent

Weights = Mapping[str, Any]
Chosen = Callable[[Link, Weights, Sequence[Sequence[Array]]], Array]
"""The factors [C] of a link's channels, by the weights and by each value that is read, batch by batch."""


@dataclass(frozen=True)
class SmoothQuant:
    """Factors `max|x| ** strength / max|w| ** (1 - strength)`: outliers of activations become those of weights.

    Xiao, Lin, Seznec, Wu, Demouth and Han, "SmoothQuant: Accurate and Efficient Post-Training Quantization for Large
    Language Models" (2023), equation 4.
    """

    strength: float = 0.5

    def __call__(self, link: Link, weights: Weights, values: Sequence[Sequence[Array]]) -> Array:
        if not 0 <= self.strength <= 1:
            raise error("E916", f"the strength of a migration is from 0 to 1, not {self.strength}")
        x = np.max([_by_channel(np.max, link, i, batch) for i, value in enumerate(values) for batch in value], axis=0)
        w = np.max([_reach(_of(link.after[i].weight, weights), link, i) for i in range(len(link.after))], axis=0)
        used = (x > 0) & (w > 0)
        factors = np.where(used, x, 1.0) ** self.strength / np.where(used, w, 1.0) ** (1 - self.strength)
        return np.asarray(np.where(used, factors, 1.0))


@dataclass(frozen=True)
class AWQ:
    """Factors `mean|x| ** a`, with the `a` of `points` from 0 to 1 for which rounded weights do best.

    What is best is the square of what rounding changes in the layers' results. Weights are rounded around 0 to `bits`,
    with a scale for each `group` inputs of a linear layer. Lin, Tang, Tang, Yang, Chen, Wang, Xiao, Dang, Gan and Han,
    "AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration" (2024), equation 4.
    """

    bits: int = 4
    group: int = 128
    points: int = 20

    def __call__(self, link: Link, weights: Weights, values: Sequence[Sequence[Array]]) -> Array:
        means = [_by_channel(np.mean, link, i, batch) for i, value in enumerate(values) for batch in value]
        x = np.mean(means, axis=0)
        x = np.where(x > 0, x, x[x > 0].min() if (x > 0).any() else 1.0)
        curvatures = [hessians(node, values[self._value(link, node)]) for node in link.readers]
        candidates = [x ** (i / self.points) for i in range(self.points)]
        candidates = [c / np.sqrt(c.max() * c.min()) for c in candidates]
        return min(candidates, key=lambda factors: self._loss(link, weights, curvatures, factors))

    def _value(self, link: Link, node: Node) -> int:
        return next(i for i, (value, _) in enumerate(link.values) if value is node.operands[0])

    def _loss(self, link: Link, weights: Weights, curvatures: Sequence[Array], factors: Array) -> float:
        total = 0.0
        for node, part, curvature in zip(link.readers, link.after, curvatures, strict=True):
            weight = _of(part.weight, weights).astype(np.float64)
            spread = np.broadcast_to(factors.reshape(part.factors), part.view).reshape(weight.shape)
            rounded = self._rounded(weight * spread, node) / spread
            before, after = (np.split(w.reshape(len(w), -1), groups_of(node)) for w in (weight, rounded))
            total += sum(loss(*rows) for rows in zip(before, after, curvature, strict=True))
        return total

    def _rounded(self, weight: Array, node: Node) -> Array:
        if not isinstance(node.op, Linear) or weight.shape[1] % self.group:
            return Grid.symmetric(weight, self.bits, tuple(range(1, weight.ndim))).nearest(weight)
        grouped = weight.reshape(len(weight), -1, self.group)
        return Grid.symmetric(grouped, self.bits, (2,)).nearest(grouped).reshape(weight.shape)


def migrated(
    graph: Graph,
    weights: Weights,
    batches: Sequence[Sequence[Any]],
    method: Chosen,
    backend: str = "numpy",
    progress: Callable[[int], object] = silent,
) -> dict[str, Array]:
    """The weights of a float network, with channels scaled between them by factors that `method` chooses.

    The network computes the same, in real arithmetic. `batches` are what it takes. Raises E912 where there are none.
    """
    if not batches:
        raise error("E912", "there are no examples to scale by", hint="some hundred that are like what is to come")
    graph = specialize(replace(graph, updates=()), training=False)
    new = {path: np.asarray(w) for path, w in weights.items()}
    for link in links(graph):
        if not isinstance(link, Link):
            continue
        recorder = Recorder(graph, {str(i): value for i, (value, _) in enumerate(link.values)}, backend)
        found = list(recorder.stream(new, batches))
        factors = method(link, new, [[batch[name] for batch in found] for name in recorder.names])
        new |= scaled(link, new, factors)
        progress(1)
    return new


def scaled(link: Link, weights: Weights, factors: Array) -> dict[str, Array]:
    """The weights of a link: those that make the channels divided by the factors, those that read them multiplied."""
    found: dict[str, Array] = {}
    # A weight may make channels and read them, too: around it lies a residual connection.
    for parts, factor in ((link.before, 1 / factors), (link.after, factors)):
        for part in parts:
            weight = _of(part.weight, {**weights, **found})
            new = weight.reshape(part.view) * factor.reshape(part.factors)
            found[path_of(part.weight)] = new.reshape(weight.shape).astype(weight.dtype)
    return found


def _of(weight: Any, weights: Weights) -> Array:
    return np.asarray(weights[path_of(weight)])


def _by_channel(of: Callable[..., Any], link: Link, index: int, batch: Array) -> Array:
    """The largest, or the mean, of the sizes of each channel of one of the values."""
    axis = link.values[index][1]
    return np.asarray(of(np.abs(batch), axis=tuple(i for i in range(batch.ndim) if i != axis)))


def _reach(weight: Array, link: Link, index: int) -> Array:
    part = link.after[index]
    return np.asarray(np.abs(weight.reshape(part.view)).max(axis=part.others).reshape(-1))
