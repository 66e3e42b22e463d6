"""Running statistics of batch norms, taken anew from batches: before they are folded into the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import Full, path_of
from architrave.ir.source import error
from architrave.record.recorder import Recorder, silent


def reestimate(
    network: Graph,
    weights: Mapping[str, Any],
    batches: Iterable[Sequence[Any]],
    *,
    backend: str = "torch",
    progress: Callable[[int], object] = silent,
) -> dict[str, Array]:
    """The weights with all running averages replaced by plain averages over the batches, in training mode.

    A running average is a state whose update is `a * state + b * statistic` for numbers a and b, as `std.norm` writes
    that of batch norms; other states stay. A batch counts by its examples. So Izmailov and others, "Averaging Weights
    Leads to Wider Optima and Better Generalization" (2018), section 3.2. Raises E912 where there are no batches.
    """
    graph = specialize(network, training=True)
    statistics = {path_of(old): value for old, new in graph.updates if (value := _statistic(old, new)) is not None}
    if not statistics:
        return dict(weights)
    sums: dict[str, Array] = {}
    counts: list[int] = []
    recorder = Recorder(graph, statistics, backend)
    for found in recorder.stream(weights, _counted(batches, counts), progress):
        for path, array in found.items():
            sums[path] = sums.get(path, np.zeros(())) + counts[-1] * array.astype(np.float64)
    if not counts:
        raise error("E912", "there are no batches to take statistics from", hint="give some examples")
    total = sum(counts)
    return {**weights, **{path: (s / total).astype(np.asarray(weights[path]).dtype) for path, s in sums.items()}}


def _counted(batches: Iterable[Sequence[Any]], counts: list[int]) -> Iterable[Sequence[Any]]:
    for batch in batches:
        counts.append(len(batch[0]))
        yield batch


def _statistic(old: Value, new: Value) -> Value | None:
    """What a running average moves to: `s` in `a * old + b * s`."""
    terms = [_multiplied(v) for v in new.node.operands] if new.op.name == "add" else []
    others = [v for v in terms if v is not None and v is not old]
    return others[0] if len(terms) == 2 and None not in terms and len(others) == 1 else None


def _multiplied(value: Value) -> Value | None:
    """What a number multiplies."""
    if value.op.name != "multiply":
        return None
    a, b = value.node.operands
    return b if isinstance(a.op, Full) else a if isinstance(b.op, Full) else None
