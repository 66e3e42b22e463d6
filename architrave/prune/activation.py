"""What units are worth by how much of them others read, on examples."""

from __future__ import annotations

from dataclasses import replace

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.axes.axis import leaves
from architrave.ir.axes.groups import Group
from architrave.ir.axes.places import coordinates
from architrave.ir.graph import Graph, Value
from architrave.passes.static import Static
from architrave.prune.plan import Scores, Task
from architrave.record import Recorder


def activation(task: Task) -> Scores:
    """The mean absolute value of what a unit gives to those that contract it.

    Hu and others, "Network Trimming" (2016), count zeros in its place.
    """
    graph = task.groups.graph
    read = {group: _read(task, group) for group in task.cut}
    axes = dict.fromkeys(place for places in read.values() for place in places)
    values = {f"{i}": _mean(value, axis) for i, (value, axis) in enumerate(axes)}
    if not values:
        return {}
    means = _recorded(task, replace(graph, outputs=(*graph.outputs, *values.values())), values)
    along = dict(zip(axes, means, strict=True))

    def of(group: Group, value: Value, axis: int) -> Array:
        places = coordinates(task.groups.scope.axes[value][axis], group.axis)
        return np.asarray(along[value, axis][places].mean(axis=1))

    return {group: np.mean([of(group, *at) for at in places], axis=0) for group, places in read.items() if places}


def _recorded(task: Task, watched: Graph, values: dict[str, Value]) -> list[Array]:
    """The means of some values over all examples."""
    recorder = Recorder(watched, values, task.plan.backend)
    progress = task.begin("observing", len(task.examples))
    sums, count = [np.zeros(()) for _ in values], 0
    for batch, arrays in zip(task.batches, recorder.stream(task.weights, task.batches, progress), strict=True):
        sums = [old + len(batch[0]) * new.astype(np.float64) for old, new in zip(sums, arrays.values(), strict=True)]
        count += len(batch[0])
    return [each / count for each in sums]


def _read(task: Task, group: Group) -> list[tuple[Value, int]]:
    """The values, and the axis of each, in which what has weights for the group reads its units.

    Where nothing has, as of what queries and keys have in common, those that are contracted with one another.
    """
    static, axes = Static(task.groups.graph), task.groups.scope.axes
    by_weights: list[tuple[Value, int]] = []
    others: list[tuple[Value, int]] = []
    for node in task.groups.graph.nodes:
        if node.op.multiply_adds([v.type for v in node.operands], node.types) == 0:
            continue
        found = [(v, i) for v in node.operands for i, axis in enumerate(axes[v]) if group.axis in set(leaves(axis))]
        flowing = [(v, i) for v, i in found if v not in static]
        (others if len(flowing) == len(found) else by_weights).extend(flowing)
    return list(dict.fromkeys(by_weights or others))


def _mean(value: Value, axis: int) -> Value:
    """The mean absolute value at each coordinate of an axis."""
    mean: Value = build.mean(build.abs(value), axes=tuple(i for i in range(value.rank) if i != axis))
    return mean
