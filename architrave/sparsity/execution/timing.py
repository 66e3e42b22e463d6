"""How long a layer takes here, dense and with its weight stored in other ways."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from architrave.backends.load import compile
from architrave.backends.runner import Session
from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value, make
from architrave.ir.op import Op
from architrave.ir.types import DType, TensorType
from architrave.passes.base import Rewritten
from architrave.passes.sparsify.sparse import lowered
from architrave.passes.sparsify.storage import Blocks
from architrave.sparsity.execution.stored import bsr, csr

ROUNDS, FEWEST = 15, 5
ENOUGH = 2.0
"""After so many seconds there are no more rounds than the fewest."""
LEAST = 2e-3
"""How many seconds one round of one form takes at least."""
BYTES, COPIES = 1 << 25, 16
"""So many bytes of weights take turns, or so many layers: no cache holds what would not be in it in a network."""

Timer = Callable[[Op, "tuple[int, ...]", Array, "Sequence[Blocks]", str, int], "list[float]"]


def seconds(
    op: Op,
    shape: tuple[int, ...],
    weight: Array,
    storages: Sequence[Blocks],
    backend: str,
    held: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """The seconds that a layer takes for an input of a shape: dense, then stored in each of some ways.

    All forms take turns, and the median of some rounds counts. `held` are the bytes of all weights of the network: as
    many, up to `BYTES`, are in use here, so that weights come from where they would.
    """
    copies = min(COPIES, max(1, math.ceil(min(held, BYTES) / weight.nbytes)))
    dense, paths = _layers(op, shape, weight, copies)
    rng: Any = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape).astype(weight.dtype) for _ in range(copies)]
    runs = [_run(dense, {path: weight.copy() for path in paths}, inputs, backend)]
    for storage in storages:
        after = lowered(dense, dict.fromkeys(dense.weights, storage))
        assert isinstance(after, Rewritten)  # there is a plan
        parts = stored_weights(weight, storage)
        given = {path + suffix: part.copy() for path in paths for suffix, part in parts.items()}
        runs.append(_run(after.graph, given, inputs, backend))
    loops = [max(1, math.ceil(LEAST / max(_once(run, 1, clock), 1e-7))) for run in runs]
    rounds, begin = list[list[float]](), clock()
    while len(rounds) < ROUNDS and (len(rounds) < FEWEST or clock() - begin < ENOUGH):
        rounds.append([_once(run, n, clock) / copies for run, n in zip(runs, loops, strict=True)])
    return [statistics.median(each) for each in zip(*rounds, strict=True)]


def stored_weights(weight: Array, storage: Blocks) -> Mapping[str, Array]:
    """The weights that stand for one [O, I, ...], by what is put behind its path."""
    matrix = weight.reshape(weight.shape[:2])
    found = csr(matrix) if storage.high == storage.wide == 1 else bsr(matrix, storage.high, storage.wide)
    return {"": found.values, "_columns": found.columns, "_starts": found.starts}


def _layers(op: Op, shape: tuple[int, ...], weight: Array, copies: int) -> tuple[Graph, list[str]]:
    """A layer some times, each with an input and a weight of its own."""
    inputs, outputs, paths = list[Value](), list[Value](), list[str]()
    for i in range(copies):
        paths.append(f"layer{i}.weight")
        inputs.append(build.input(f"x{i}", TensorType(DType.FLOAT, shape)))
        param = build.param(paths[-1], TensorType(DType.FLOAT, weight.shape))
        outputs.append(make(op, (inputs[-1], param)).outputs[0])
    return build.graph("Layers", inputs, outputs), paths


def _run(graph: Graph, weights: Mapping[str, Array], inputs: Sequence[Array], backend: str) -> Callable[[], object]:
    session: Session = compile(graph, backend).session(weights, *inputs, training=False)

    def run() -> object:
        return session.run(inputs, (0, 0))

    run()  # what is compiled and kept at the first time
    return run


def _once(run: Callable[[], object], times: int, clock: Callable[[], float]) -> float:
    begin = clock()
    for _ in range(times):
        run()
    return (clock() - begin) / times
