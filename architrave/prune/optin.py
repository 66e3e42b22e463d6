"""What units are worth by what becomes of all that is computed after them, when they are gone.

Khaki and Plataniotis, "The Need for Speed: Pruning Transformers with One Recipe" (2024): one unit is masked at a time.
What the network then loses is how much the relations inside the results of its blocks differ from what they were,
and how far its output is from what it gave. Nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.axes.groups import Group
from architrave.ir.dims import product
from architrave.ir.graph import Graph, Value
from architrave.passes.static import Static
from architrave.passes.structure.sublayers import blocks, branches
from architrave.prune.plan import Scores, Task
from architrave.prune.units import masked
from architrave.record import Recorder


def optin(task: Task) -> Scores:
    """What the network's trajectory and output lose when one unit is masked: 0 for one that nothing reads."""
    trajectory = _Trajectory(task)
    wanted = trajectory.of(task.weights)
    progress = task.begin("masking units", sum(group.size for group in task.cut))
    found: Scores = {group: np.zeros(group.size) for group in task.cut}
    for group, values in found.items():
        for unit in range(group.size):
            values[unit] = _loss(wanted, trajectory.of(_without(task.weights, group, unit)))
            progress(1)
    return found


class _Trajectory:
    """The relations inside the results of blocks, and the network's output, on examples."""

    def __init__(self, task: Task) -> None:
        graph = task.groups.graph
        values = {str(i): _relations(value) for i, value in enumerate(taps(graph))}
        values["output"] = graph.outputs[0]
        self.recorder = Recorder(replace(graph, outputs=(*graph.outputs, *values.values())), values, task.plan.backend)
        self.batches = task.batches

    def of(self, weights: Mapping[str, Any]) -> list[dict[str, Array]]:
        """Batch by batch."""
        return list(self.recorder.stream(weights, self.batches))


def taps(graph: Graph) -> list[Value]:
    """The results of the blocks of a network; where it has none, of its residual branches or its contractions."""
    found = [part.after for part in blocks(graph)] or [part.after for part in branches(graph)]
    if found:
        return found
    static = Static(graph)
    contractions = (n for n in graph.nodes if n.op.multiply_adds([v.type for v in n.operands], n.types) != 0)
    return [v for node in contractions for v in node.outputs if v not in static and v not in graph.outputs]


def _relations(value: Value) -> Value:
    """The cosines between all pairs of channels of an image, of tokens of a text, or of examples of a batch."""
    rows: Value = value
    if value.rank > 3:
        rows = build.reshape(value, (*value.shape[:2], product(value.shape[2:])))
    length: Value = build.sqrt(build.sum(rows * rows, axes=(-1,), keep=True))
    unit: Value = rows / build.where(build.equal(length, 0.0), 1.0, length)
    relations: Value = build.einsum(unit, unit, equation="...ic,...jc->...ij")
    return relations


def _without(weights: Mapping[str, Any], group: Group, unit: int) -> dict[str, Array]:
    return masked(weights, {group: np.delete(np.arange(group.size), unit)})


def _loss(wanted: Sequence[Mapping[str, Array]], found: Sequence[Mapping[str, Array]]) -> float:
    """The squared differences of relations, summed over blocks, and the divergence of outputs; a mean of batches."""
    losses = [
        sum(_divergence(a[name], b[name]) if name == "output" else _square(a[name], b[name]) for name in a)
        for a, b in zip(wanted, found, strict=True)
    ]
    return float(np.mean(losses))


def _square(a: Array, b: Array) -> float:
    return float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))


def _divergence(wanted: Array, found: Array) -> float:
    """KL(wanted, found) of the distributions that scores along the last axis stand for: a mean over all else."""
    p, q = _log_shares(wanted), _log_shares(found)
    return float((np.exp(p) * (p - q)).sum(axis=-1).mean())


def _log_shares(scores: Array) -> Array:
    shifted: Array = scores.astype(np.float64) - scores.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
