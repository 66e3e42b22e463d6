"""How curved a loss is along each weight: the trace of the Hessian, by random vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from architrave.backends.load import compile
from architrave.ir import build
from architrave.ir.arrays import Array, known
from architrave.ir.autodiff import hessian_products
from architrave.ir.graph import Graph, Value
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.quantize.grid import Grid
from architrave.record.recorder import silent


def curvatures(loss: Graph, paths: Sequence[str]) -> Graph:
    """The graph that takes what `loss` takes, then a tensor `v` like each weight, and gives `v' H v` for each.

    `H` is the Hessian by all these weights at once of `loss`, one number, in the mode of inference. Raises what
    `grad` does.
    """
    loss = specialize(replace(loss, updates=()), training=False)
    weights = {path_of(w): w for w in loss.weights}
    products = hessian_products(loss, [weights[path] for path in paths])
    directions = products.inputs[len(loss.inputs) :]
    ends: list[Value] = [build.sum(h * v) for h, v in zip(products.outputs, directions, strict=True)]
    return replace(products, outputs=tuple(ends), name=f"{loss.name}_curvatures")


def traces(
    loss: Graph,
    weights: Mapping[str, Any],
    batches: Sequence[Sequence[Any]],
    paths: Sequence[str],
    draws: int = 8,
    seed: int = 0,
    backend: str = "numpy",
    progress: Callable[[int], object] = silent,
) -> dict[str, float]:
    """The trace of the Hessian of a loss by each weight: the mean of `v' H v` for random signs `v` (Hutchinson).

    Each of the batches sees as many draws. Yao, Gholami, Keutzer and Mahoney, "PyHessian" (2020).
    """
    graph = curvatures(loss, paths)
    program, rng = compile(graph, backend), _generator(seed)
    read = {path_of(w): weights[path_of(w)] for w in graph.weights}
    shapes = {path_of(w): tuple(map(known, w.shape)) for w in graph.weights}
    found: list[Array] = []
    for batch in batches:
        for _ in range(draws):
            signs = [rng.choice(np.array([-1.0, 1.0], np.float32), shapes[path]) for path in paths]
            found.append(np.array(program.run(read, *batch, *signs).outputs, np.float64))
            progress(1)
    return dict(zip(paths, np.mean(found, axis=0).tolist(), strict=True))


def hessian_losses(trace: Mapping[str, float], weights: Mapping[str, Any], bits: int) -> dict[str, float]:
    """How much the loss grows where each weight is rounded: its mean curvature times the square of the change, by half.

    Dong, Yao, Arfeen, Gholami, Mahoney and Keutzer, "HAWQ-V2" (2020). Rounding is around 0, with a scale for each
    output channel.
    """
    found: dict[str, float] = {}
    for path, curvature in trace.items():
        weight = np.asarray(weights[path], np.float64)
        rounded = Grid.symmetric(weight, bits, tuple(range(1, weight.ndim))).nearest(weight)
        found[path] = curvature / weight.size * float(np.square(rounded - weight).sum()) / 2
    return found


def _generator(seed: int) -> Any:
    return np.random.default_rng(seed)
