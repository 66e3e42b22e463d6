"""How long a network takes at the sizes that it may be cut to: measured at a few, interpolated between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from architrave.backends.agree.trial import trial
from architrave.backends.load import compile
from architrave.backends.runner import Session
from architrave.ir.arrays import Array, np
from architrave.ir.axes.restrict import restricted, taken
from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.prune.plan import Task
from architrave.prune.select import Price, Removals

POINTS = 5
"""The sizes at which a network is timed, from whole to as small as can be."""
ROUNDS = 5
"""How often each network runs; the best counts, since other programs can only make it slower."""


def measured(task: Task, found: Removals, macs: Price, inputs: Sequence[Array]) -> Price:
    """Seconds by the sizes of groups, read off a line through measurements by multiply-adds."""
    wanted = np.linspace(macs(found.sizes(len(found))), macs(found.sizes(0)), POINTS)
    steps = [_steps(found, macs, float(share)) for share in wanted]
    graphs: list[tuple[Graph, Mapping[str, Any]]] = []
    for count in steps:
        kept = found.kept(count)
        graphs.append((restricted(task.groups, kept), taken(task.groups, task.weights, kept)))
    begun = task.begin("timing", len(graphs))
    found_seconds = seconds(graphs, inputs, task.plan.backend, begun)
    known = np.array([macs(found.sizes(count)) for count in steps], np.float64)
    # More multiply-adds never take less: what a measurement says beyond that is noise.
    rising = np.maximum.accumulate(np.array(found_seconds))
    return lambda sizes: float(np.interp(macs(sizes), known, rising))


def seconds(
    networks: Sequence[tuple[Graph, Mapping[str, Any]]],
    inputs: Sequence[Array],
    backend: str,
    progress: Callable[[int], object],
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """The seconds of one run of each network, taken in turns so that what else goes on meets all of them alike."""
    sessions: list[Session] = []
    for graph, weights in networks:
        program = compile(specialize(graph, training=False), backend)
        sessions.append(program.session(weights, *inputs, training=False))
        sessions[-1].run(inputs, (0, 0))
        progress(1)
    best = [float("inf")] * len(sessions)
    for _ in range(ROUNDS):
        for i, session in enumerate(sessions):
            start = clock()
            session.run(inputs, (0, 0))
            best[i] = min(best[i], clock() - start)
    return best


def inputs_for(network: Graph, sizes: Mapping[str, int], batches: Sequence[Sequence[Array]]) -> list[Array]:
    """What a network is timed on: a batch of examples, or else drawn numbers."""
    return [*batches[0]] if batches else [*trial(network, sizes, 0, np.float32).inputs]


def _steps(found: Removals, macs: Price, wanted: float) -> int:
    """The fewest steps after which so few multiply-adds are left."""
    low, high = 0, len(found)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if macs(found.sizes(middle)) <= wanted else (middle + 1, high)
    return low
