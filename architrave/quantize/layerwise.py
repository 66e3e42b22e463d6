"""Rounding a network layer after layer: each sees what the rounded ones before it give, and aims at the float network.

A method that looks at one layer at a time is a function of a `Task`; `layerwise` runs it over a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.quantize.gptq import GPTQ
from architrave.quantize.grid import Grid, shaped
from architrave.quantize.layers import Layer, layers
from architrave.quantize.unrounded import unrounded
from architrave.record.columns import hessians
from architrave.record.recorder import Recorder, silent
from architrave.record.stages import Stage, between
from architrave.record.walk import Arrays, Part, Walk, Weights, started


@dataclass(frozen=True)
class Task:
    """One layer that is to be rounded, with the examples that reach it."""

    layer: Layer
    walk: Walk
    stage: Stage
    graph: Graph
    """The network."""

    @cached_property
    def part(self) -> Graph:
        """The layer by itself, with its activation function."""
        return between(self.graph, [self.layer.x], [self.layer.end]).graph

    @property
    def weight(self) -> Array:
        """Its weight, as it is now."""
        return self.walk.weights[self.layer.path]

    @property
    def original(self) -> Array:
        """Its weight in the float network."""
        return self.walk.original[self.layer.path]

    @property
    def grid(self) -> Grid:
        """What its weight is rounded to, for the weight in the shape `shaped(layer.site)`."""
        return Grid.of(self.layer.site, self.walk.weights)

    @cached_property
    def inputs(self) -> list[Array]:
        """What the layer is given in the rounded network, batch by batch."""
        return [x for (x,) in self.record([self.layer.x], exact=False)]

    @cached_property
    def targets(self) -> list[Array]:
        """What the layer and its activation function give in the float network."""
        return [y for (y,) in self.record([self.layer.end], exact=True)]

    def record(self, values: Sequence[Value], exact: bool) -> list[Arrays]:
        """What values around the layer are on each batch; in floats, or in the rounded network as it is now."""
        return self.walk.record(self.stage, values, exact)

    def error(self, weight: Array) -> float:
        """The mean square of what is between the targets and what the layer gives with a weight."""
        held = {**self.walk.weights, self.layer.path: weight}
        read = {path_of(w): held[path_of(w)] for w in self.part.weights}
        found = self._recorder.stream(read, ((x,) for x in self.inputs))
        errors = [np.mean(np.square(y["y"].astype(np.float64) - t)) for y, t in zip(found, self.targets, strict=True)]
        return float(np.mean(errors))

    @cached_property
    def _recorder(self) -> Recorder:
        return Recorder(self.part, {"y": self.part.outputs[0]}, self.walk.backend)


Finish = Callable[[Part], Mapping[str, Array]]
"""New weights of a part, once its layers are rounded."""
Method = Callable[[Task], Mapping[str, Array]]
"""The new weights of a layer: the rounded one, and whatever else of it changes."""


def layerwise(
    graph: Graph,
    weights: Mapping[str, Any],
    batches: Sequence[Sequence[Any]],
    method: Method,
    backend: str = "numpy",
    progress: Callable[[int], object] = silent,
    *,
    original: Mapping[str, Any] | None = None,
    finish: Finish | None = None,
) -> Weights:
    """The weights of a network with quantizers (the pass `quantize`), each layer's chosen by `method`.

    `weights` are those of `graph`, whose activations are calibrated if they are rounded; `batches` are what the network
    takes. The float network has the weights `original`: the same, unless something has rounded them before. `finish` is
    given each part of the network when its layers are done. Raises E912 where there are no batches. `progress` hears
    how many layers are done, one by one.
    """
    graph = specialize(replace(graph, updates=()), training=False)
    walk = started(weights, original, batches, backend, lambda part: unrounded(part)[0])
    by_end = {layer.end: layer for layer in layers(graph)}
    for part in walk.parts(graph):
        for end in filter(part.stage.computes, [value for value in part.stage.values if value in by_end]):
            walk.weights |= method(Task(by_end[end], walk, part.stage, graph))
            progress(1)
        if finish is not None:
            walk.weights |= finish(part)
    return walk.weights


@dataclass(frozen=True)
class Nearest:
    """Each weight goes to the nearest number of its grid: what every other method is compared with."""

    def __call__(self, task: Task) -> Mapping[str, Array]:
        shape = shaped(task.layer.site)
        return {task.layer.path: task.grid.nearest(task.weight.reshape(shape)).reshape(task.weight.shape)}


@dataclass(frozen=True)
class ByHessian:
    """GPTQ over a network: `settings` say how each matrix is rounded."""

    settings: GPTQ = field(default_factory=GPTQ)

    def __call__(self, task: Task) -> Mapping[str, Array]:
        weight, layer = task.weight, task.layer
        shape = shaped(layer.site)
        rows = weight.reshape(len(weight), -1)
        grid = task.grid.spread(shape, rows.shape)
        parts = np.split(np.arange(len(rows)), layer.groups)
        done = [
            self.settings.rounded(rows[part], hessian, Grid(grid.scale[part], grid.zero[part], grid.lo, grid.hi))
            for part, hessian in zip(parts, hessians(layer.node, task.inputs), strict=True)
        ]
        return {layer.path: np.concatenate(done).reshape(weight.shape).astype(weight.dtype)}
