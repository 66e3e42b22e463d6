"""How far rounding alone may take a result: what no implementation in that precision can be held to.

Deep networks in training mode are not always well conditioned, and gradients jump where a `relu` or a `max` changes
sides. So where a result in a narrow precision misses its tolerance, weights and inputs are moved a little, as rounding
moves them, and float64 tells what that does. For gradients every intermediate result is moved, too: the gradient of a
scale before a normalization is a sum that cancels to nothing, whatever the weights are. In float64 itself nothing is
excused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from architrave.backends.agree.difference import difference
from architrave.backends.agree.report import Comparison
from architrave.backends.agree.trial import Trial
from architrave.backends.agree.witness import Failure, Witness, gradient_arrays, in_precision, results, witness
from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.draws import uniform
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.interpret import Result, interpret
from architrave.ir.nested import rebuild_nested, remade
from architrave.ir.op import Op
from architrave.ir.place import mark
from architrave.ir.storage import is_float
from architrave.ir.types import DType

ROUNDING = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""The relative error of one rounding."""
STEPS = 16
"""How many roundings the numbers are moved by: about what gathers in a deep network."""
TRIES = 3
MARGIN = 2.0

Noise = Mapping[str, float]
"""For each result by name, how far rounding takes it, relative to its scale."""


def excused(rows: list[Comparison], noise: Callable[[str], Noise]) -> list[Comparison]:
    """The comparisons of one dtype, with larger tolerances where rounding alone explains what is beyond them."""
    missed = {c.dtype for c in rows if not c.ok and c.problem is None and c.dtype in ROUNDING}
    if not missed:
        return rows
    (dtype,) = missed
    known = noise(dtype)
    return [c if c.ok else _allowed(c, MARGIN * known.get(c.name, 0.0)) for c in rows]


def forward_noise(graph: Graph, training: bool, trial: Trial, expected: Result, dtype: str) -> Noise:
    """What rounding does to the outputs and new states."""
    wanted = {name: value for _, name, value in results(graph, expected)}

    def moved(number: int) -> Noise:
        near = perturbed(trial, dtype, number)
        result = interpret(graph, near.inputs, near.weights, training, key=trial.key)
        return {name: difference(value, wanted[name]).relative for _, name, value in results(graph, result)}

    return reduce(_worst, map(moved, range(TRIES)))


def gradient_noise(exact: Witness, trial: Trial, dtype: str, cotangents: list[Array | None], floor: float) -> Noise:
    """What rounding does to the gradients: to any of them what it does to the worst, for where they jump is chance."""
    given = exact.gradients(in_precision(trial, np.float64), np.float64, cotangents)
    rough = witness(jittered(exact.program.graph, STEPS * ROUNDING[dtype]), exact.backend, exact.training)
    if isinstance(given, Failure) or isinstance(rough, Failure):
        return {}
    wanted = gradient_arrays(exact.program.graph, given)
    worst = 0.0
    for number in range(TRIES):
        found = rough.gradients(perturbed(trial, dtype, number), np.float64, cotangents)
        if not isinstance(found, Failure):
            moved = gradient_arrays(rough.program.graph, found)
            worst = max(worst, *(difference(moved[name], wanted[name], floor).relative for name in wanted))
    return dict.fromkeys(wanted, worst)


def jittered(graph: Graph, reach: float) -> Graph:
    """The graph with each float result moved by up to `reach` of itself, element by element, as rounding moves it.

    The movement is `reach * sin(1e6 * x)` of each element: a stand-in for chance that every backend computes, and that
    has no gradient.
    """

    def moved(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not operands or op.graph_attributes or not any(v.dtype is DType.FLOAT for v in node.outputs):
            return None
        before = mark(node.marks)
        try:
            return [_jittered(v, reach) for v in remade(node, op, operands)]
        finally:
            mark(before)

    return rebuild_nested(graph, moved)


def _jittered(value: Value, reach: float) -> Value:
    if value.dtype is not DType.FLOAT:
        return value
    shift: Value = build.call("stop_gradient", build.call("sin", value * 1e6) * value * reach)
    return value + shift


def perturbed(trial: Trial, dtype: str, number: int) -> Trial:
    """The trial in float64, with each weight and input moved by up to some roundings of `dtype`."""
    reach = STEPS * ROUNDING[dtype]

    def moved(path: str, value: Array) -> Array:
        if not is_float(value.dtype):
            return value
        shift = uniform(trial.seed, f"noise {number} {path}", value.shape, np.dtype(np.float64), -reach, reach)
        near: Array = value.astype(np.float64) * (1 + shift)
        return near

    weights = {path: moved(path, w) for path, w in trial.weights.items()}
    inputs = tuple(moved(f"input {i}", x) for i, x in enumerate(trial.inputs))
    return replace(trial, weights=weights, inputs=inputs)


def _allowed(row: Comparison, noise: float) -> Comparison:
    return replace(row, tolerance=max(row.tolerance, noise), noise=noise) if row.problem is None else row


def _worst(a: Noise, b: Noise) -> Noise:
    return {name: max(a[name], b[name]) for name in a}
