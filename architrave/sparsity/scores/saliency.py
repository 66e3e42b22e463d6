"""Scores by gradients, for networks before they learn as well as after."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.source import error
from architrave.passes import apply
from architrave.record.gradients import Gradients
from architrave.sparsity.masks.masked import masks
from architrave.sparsity.scores.plan import Task
from architrave.sparsity.scores.slopes import Slopes
from architrave.train.objective import Objective


def snip(task: Task) -> dict[str, Array]:
    """`|w * g|`: how much the loss would change first. The loss is the usual one for the targets.

    Lee, Ajanthan and Torr, "SNIP: Single-shot Network Pruning based on Connection Sensitivity" (2019).
    """
    slopes, batches = _of_loss(task)
    found, numbers = slopes.mean(task.weights, batches), _numbers(task)
    return {layer.path: np.abs(numbers[layer.path] * found[layer.path]) for layer in task.layers}


def grasp(task: Task) -> dict[str, Array]:
    """`w * H g`: how much of the flow of gradients, `g' g`, would go. What hinders it goes first.

    Wang, Zhang and Grosse, "Picking Winning Tickets Before Training by Preserving Gradient Flow" (2020).
    """
    slopes, batches = _of_loss(task)
    found = slopes.products(task.weights, batches, slopes.mean(task.weights, batches))
    numbers = _numbers(task)
    return {layer.path: numbers[layer.path] * found[layer.path] for layer in task.layers}


@dataclass(frozen=True)
class SynFlow:
    """`|w * dR/dw|` where `R` sums what a network of absolute weights makes of ones, again after each of `rounds`.

    It needs no examples. The density falls by the same factor each round, so that no layer is cut off before others
    have shrunk: Tanaka, Kunin, Yamins and Ganguli, "Pruning Neural Networks without Any Data by Iteratively Conserving
    Synaptic Flow" (2020), with masks chosen over all weights (`global`).
    """

    rounds: int = 100

    def __call__(self, task: Task) -> dict[str, Array]:
        """The weights under masks. Raises E911 for scores beyond the range of float64."""
        flow = apply(task.graph, "inference,bake-masks").graph
        total: Value = build.sum(flow.outputs[0])
        gradients = Gradients(replace(flow, outputs=(total,)), [layer.path for layer in task.layers], task.plan.backend)
        ones, share = _ones(flow), task.plan.share
        weights = dict(task.weights)
        for i in range(1, self.rounds + 1):
            density = share if i == self.rounds else share ** (i / self.rounds)
            now = replace(task, weights=weights, plan=task.plan.at(density))
            slopes = gradients.mean({path: _absolute(w) for path, w in weights.items()}, [ones])
            numbers = _numbers(now)
            weights = now.masked({path: np.abs(numbers[path] * slope) for path, slope in slopes.items()})
        return weights


def _of_loss(task: Task) -> tuple[Slopes, list[tuple[Array, ...]]]:
    """The gradients of the usual loss, and the batches that they are taken on."""
    data = task.examples()
    slopes = Slopes(task.graph, Objective.usual(data), data.target_type(task.graph), task.plan.backend)
    return slopes, list(data.parts(task.plan.batch))


def _numbers(task: Task) -> dict[str, Array]:
    """The weights in float64, with 0 where their masks are false."""
    found = masks(task.graph, task.weights)
    return {path: np.where(mask, np.asarray(task.weights[path], np.float64), 0) for path, mask in found.items()}


def _absolute(weight: Array) -> Array:
    return np.abs(np.asarray(weight, np.float64)) if np.asarray(weight).dtype.kind == "f" else np.asarray(weight)


def _ones(graph: Graph) -> tuple[Array, ...]:
    """An example of ones. Raises E925 for a network that takes anything but floats."""
    strange = next((v for v in graph.inputs if not v.dtype.is_float), None)
    if strange is not None:
        what = f"`synflow` needs inputs that can be 1 everywhere, but `{strange.hint}` is {strange.type}"
        raise error("E925", what, hint="take a method that goes by examples, such as `snip`")
    return tuple(np.ones([size if isinstance(size, int) else 1 for size in v.shape]) for v in graph.inputs)
