"""Making a network sparse layer after layer: each is given what the sparse ones before it give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node
from architrave.ir.mode import specialize
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.source import error
from architrave.passes.sparsify.uses import Axes
from architrave.record.columns import hessians
from architrave.record.walk import Part, started
from architrave.sparsity.masks.density import GLOBAL, counts
from architrave.sparsity.masks.masked import Layer, layers
from architrave.sparsity.masks.pattern import NM, Unstructured
from architrave.sparsity.scores.plan import Task


@dataclass(frozen=True)
class Rows:
    """Rows [O, I] of a weight that the same inputs are multiplied by: those of one group of its channels.

    Inputs of one place of a kernel are beside one another. `hessian` [I, I] is the mean of x' x over all that is
    multiplied. `kept` numbers stay, but where a pattern `few` of N:M says how many.
    """

    weight: Array
    hessian: Array
    kept: int
    few: NM | None


Choose = Callable[[Rows], tuple[Array, Array]]
"""The mask of rows, and their new numbers."""


def layerwise(task: Task, choose: Choose) -> dict[str, Array]:
    """The weights under masks that `choose` has made of each linear layer and convolution, first to last.

    Where several share a weight, the first of them and those near it count. For weights whose inputs are not to be
    seen, those in loops and in products of matrices, all inputs weigh the same. Raises E925 and E926 for plans that
    are not for single layers, E911 for inputs of a layer that are NaN or infinite, and what `Task.examples` does.
    """
    graph = specialize(replace(task.graph, updates=()), training=False)
    names = {layer.path for layer in task.layers}
    left = {layer.path: layer for layer in layers(graph) if layer.path in names}
    step = _Step(task, _numbers(task), choose)
    data = task.examples()
    batches = [arrays[: len(data.inputs)] for arrays in data.parts(task.plan.batch)]
    walk = started(task.weights, None, batches, task.plan.backend)
    taken = {path: _nodes(graph, layer) for path, layer in left.items()}
    for part in walk.parts(graph):
        here = {path: [n for n in nodes if part.stage.computes(n.outputs[0])] for path, nodes in taken.items()}
        for path in [path for path in left if here[path]]:
            seen = np.mean([_hessian(part, node) for node in here[path]], axis=0)
            walk.weights |= step.chosen(left.pop(path), walk.weights, seen)
    for layer in left.values():
        walk.weights |= step.chosen(layer, walk.weights, np.eye(layer.size // _outputs(layer))[None])
    return walk.weights


@dataclass(frozen=True)
class _Step:
    task: Task
    numbers: dict[str, int]
    choose: Choose

    def chosen(self, layer: Layer, weights: Mapping[str, Array], hessians: Array) -> dict[str, Array]:
        """The mask of one weight and its new numbers, by path; `hessians` are [groups, I, I]."""
        if not np.isfinite(hessians).all():
            raise error("E911", f"the inputs of the layer with `{layer.path}` hold NaN or infinity")
        moved: Array = np.transpose(weights[layer.path], _order(layer))
        groups = len(hessians)
        ends = [self.numbers[layer.path] * (i + 1) // groups for i in range(groups)]
        kept = np.diff([0, *ends]).tolist()
        few = self.task.plan.pattern if isinstance(self.task.plan.pattern, NM) else None
        parts = np.split(moved.reshape(_outputs(layer), -1).astype(np.float64), groups)
        found = [self.choose(Rows(*given, few)) for given in zip(parts, hessians, kept, strict=True)]
        masks, rows = (np.concatenate(each).reshape(moved.shape) for each in zip(*found, strict=True))
        back = np.argsort(_order(layer))
        mask = np.ascontiguousarray(np.transpose(masks, back))
        new = np.where(mask, np.transpose(rows, back), 0).astype(weights[layer.path].dtype)
        return {layer.mask: mask, layer.path: new}


def _numbers(task: Task) -> dict[str, int]:
    """How many numbers of each weight stay."""
    plan = task.plan
    if not isinstance(plan.pattern, NM | Unstructured):
        raise error("E926", f"`{plan.method}` chooses single numbers or N:M, not `{plan.pattern}`")
    if plan.distribution == GLOBAL:
        hint = "take `uniform` or another distribution"
        raise error("E925", f"`{plan.method}` compares numbers of one layer, not of all (`global`)", hint=hint)
    return counts(task.layers, plan.share, plan.distribution)


def _nodes(graph: Graph, layer: Layer) -> list[Node]:
    """The linear layers and convolutions of the network itself that take a weight."""
    use = layer.site.use(graph)
    return [n for n, position in use.contractions if position == 1 and isinstance(n.op, Linear | Conv)]


def _hessian(part: Part, node: Node) -> Array:
    """[groups, I, I], with the inputs of one place of the kernel beside one another."""
    found = hessians(node, (x for (x,) in part.walk.record(part.stage, [node.operands[0]], exact=False)))
    channels = node.operands[1].shape[1]
    assert isinstance(channels, int)
    order = np.arange(int(found.shape[-1])).reshape((channels, -1)).T.ravel()
    return found[:, order][:, :, order]


def _order(layer: Layer) -> tuple[int, ...]:
    """The axes of a weight: outputs, those of a kernel, inputs."""
    axes = layer.axes or Axes((0,), ())
    others = (i for i in range(len(layer.shape)) if i not in (*axes.outputs, *axes.inputs))
    return (*axes.outputs, *others, *axes.inputs)


def _outputs(layer: Layer) -> int:
    return math.prod(layer.shape[i] for i in (layer.axes or Axes((0,), ())).outputs)
