"""How far rounding alone may take a result: what no implementation in that precision can be held to.

Deep networks in training mode are not always well conditioned, and gradients jump where a `relu` or a `max` changes
sides. So where a result misses its tolerance, the oracle runs again with every number moved a little, as rounding
moves it: inputs, weights and what any operator computes. In float64, where it is decided whether two networks are the
same function, nothing is excused, but in two places: graphs that are drawn at random, and steps of training, where a
gradient may be a sum that cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from architrave.backends.agree.difference import difference
from architrave.backends.agree.gradient import GradientOracle
from architrave.backends.agree.report import Comparison
from architrave.backends.agree.trial import Trial
from architrave.backends.agree.witness import results
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.interpret import Disturbance, Result, interpret

ROUNDING = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""The relative error of one rounding."""
STEPS = 16
"""How many roundings the numbers are moved by: about what gathers in one operator."""
TRIES = 3
MARGIN = 2.0

Noise = Mapping[str, float]
"""For each result by name, how far rounding takes it, relative to its scale."""


def resolution(dtype: str) -> float:
    """What a gradient cannot tell from zero, over the largest gradient: what the roundings of a deep network come to.

    Some gradients are sums that cancel to nothing, such as that of a bias in front of a batch normalization; what is
    left of them is rounding of the terms, whose size the other gradients show.
    """
    return STEPS * ROUNDING[dtype]


def excused(rows: list[Comparison], noise: Callable[[str], Noise]) -> list[Comparison]:
    """The comparisons of one dtype, with larger tolerances where rounding alone explains what is beyond them."""
    missed = {c.dtype for c in rows if not c.ok and c.problem is None and c.dtype != "float64"}
    if not missed:
        return rows
    (dtype,) = missed
    known = noise(dtype)
    return [c if c.ok else allowed(c, MARGIN * known.get(c.name, 0.0)) for c in rows]


def forward_noise(
    graph: Graph, training: bool, trial: Trial, expected: Result, disturbances: Iterable[Disturbance]
) -> Noise:
    """What rounding does to the outputs and new states."""
    wanted = {name: value for _, name, value in results(graph, expected)}

    def moved(disturb: Disturbance) -> Noise:
        result = interpret(graph, trial.inputs, trial.weights, training, key=trial.key, disturb=disturb)
        return {name: difference(value, wanted[name]).relative for _, name, value in results(graph, result)}

    return reduce(_worst, map(moved, disturbances))


def gradient_noise(oracle: GradientOracle, floor: float, disturbances: Iterable[Disturbance]) -> Noise:
    """What rounding does to the gradients: to any of them what it does to the worst, for where they jump is chance."""
    worst = 0.0
    for disturb in disturbances:
        moved = oracle.gradients(disturb)
        pairs = ((moved[name], wanted) for name, wanted in oracle.expected.items())
        worst = max(worst, *(difference(a, b, floor).relative for a, b in pairs))
    return dict.fromkeys(oracle.expected, worst)


def roundings(dtype: str, tries: int = TRIES) -> list[Disturbance]:
    """What moves each number by up to some roundings of `dtype`, each of them in its own way."""
    return [_rounding(STEPS * ROUNDING[dtype], number) for number in range(tries)]


def _rounding(reach: float, number: int) -> Disturbance:
    rng: Any = np.random.default_rng(number)

    def moved(x: Array) -> Array:
        near: Array = x * rng.uniform(1 - reach, 1 + reach, x.shape)
        return near

    return moved


def allowed(row: Comparison, noise: float) -> Comparison:
    """The comparison held to what rounding explains, where that is more than its tolerance."""
    return replace(row, tolerance=max(row.tolerance, noise), noise=noise) if row.problem is None else row


def _worst(a: Noise, b: Noise) -> Noise:
    return {name: max(a[name], b[name]) for name in a}
