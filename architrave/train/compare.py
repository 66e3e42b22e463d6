"""Do the backends train alike? Steps on every one, compared with the oracle's after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from architrave.backends.agree import Comparison, Report
from architrave.backends.agree.difference import BACKWARD, FORWARD, difference, working_dtype
from architrave.backends.agree.noise import MARGIN, allowed, resolution, roundings
from architrave.backends.agree.report import ORACLE
from architrave.backends.agree.trial import trial
from architrave.backends.agree.witness import Failure, Witness, attempt, witness
from architrave.backends.base import names
from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.initializers import init
from architrave.ir.interpret import Result, interpret
from architrave.ir.source import error
from architrave.ir.storage import is_float
from architrave.ir.types import TensorType
from architrave.train.clipping import Clipping
from architrave.train.optimizers import SGD
from architrave.train.step import Recipe, learning, step_graph

DTYPE = "float64"
MODE = "steps"
RATE = 0.01
DEFAULT = Recipe(SGD(0.9), clipping=Clipping(norm=1.0))
"""What a network is trained with for a comparison: its step is smooth, also where a gradient is next to nothing."""

Key = tuple[int, int]
Run = Callable[[Mapping[str, Array], Sequence[Array], Key], Result]


BATCH = 4
"""How many examples `N` stands for: a batch normalization of two numbers gives 1 and -1 whatever they are, and its
gradient is rounding.
"""


def compare_steps(
    network: Graph,
    recipe: Recipe = DEFAULT,
    target: TensorType | None = None,
    steps: int = 20,
    backends: Sequence[str] | None = None,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    oracle: bool = True,
    progress: Callable[[str], object] = lambda step: None,
) -> Report:
    """Train a network for some steps, in float64, on every backend; compare loss, gradients, weights and states.

    Each step begins on every backend with the same numbers, those that the oracle came to in the step before, so that
    what is compared is the step, and not how far a network carries a rounding. Without `oracle`, which is slow, the
    first backend takes its place. Where the objective of the recipe names no loss and the network gives no single
    number, the mean squares of its outputs are minimized. A backend whose framework is not installed is skipped.

    Raises E400 for an unknown backend, E519 for sizes that do not fit, and what `step_graph` raises.
    """
    network = network if recipe.objective.loss else _scored(network)
    graph = step_graph(network, recipe, target, gradients=True)
    batch = {"N": BATCH} if "N" in network.symbols else {}
    drawn = trial(network, {**batch, **(sizes or {})}, seed, np.float64)
    report = Report(network.name, drawn.sizes, seed)
    runs = _runs(graph, tuple(names() if backends is None else backends), report, progress)
    if not runs:
        return report
    first, *others = runs
    lead, expected_of = (ORACLE, _interpreted(graph)) if oracle else (first, runs[first])
    compared = runs if oracle else {name: runs[name] for name in others}
    states: dict[str, Array] = {**init(graph, seed, DTYPE), **drawn.weights}
    for step in range(steps):
        progress(f"step {step + 1} of {steps}")
        inputs = [*trial(graph, drawn.sizes, seed + step, np.float64).inputs[:-1], np.asarray(RATE)]
        key = (seed, step)
        expected = expected_of(states, inputs, key)
        compared_step = _Step(graph, list(learning(network, recipe)), step + 1, lead, expected)
        for name, run in compared.items():
            found = attempt(partial(run, states, inputs, key))
            moved = partial(interpret, graph, inputs, states, training=True, key=key)
            report.comparisons.extend(compared_step.excused(list(compared_step.rows(name, found)), moved))
        states |= expected.updates
    return report


def _runs(graph: Graph, backends: Sequence[str], report: Report, progress: Callable[[str], object]) -> dict[str, Run]:
    """What runs a step, by backend; what cannot is noted in the report."""
    found: dict[str, Run] = {}
    for name in backends:
        progress(f"compiling to {name}")
        made = witness(graph, name, training=True)
        if isinstance(made, Witness):
            found[name] = _compiled(made)
        elif made.expected:
            report.skipped[name] = made.reason
        else:
            report.comparisons.append(_failed(name, ORACLE, "compile", graph.name, made.reason))
    return found


def _compiled(made: Witness) -> Run:
    return lambda states, inputs, key: made.program.run(states, *inputs, training=True, key=key)


def _interpreted(graph: Graph) -> Run:
    return lambda states, inputs, key: interpret(graph, inputs, states, training=True, key=key)


@dataclass(frozen=True)
class _Step:
    """One step as it should be, and the weights whose gradients it gives."""

    graph: Graph
    weights: Sequence[str]
    number: int
    lead: str
    expected: Result

    def rows(self, backend: str, found: Result | Failure) -> Iterator[Comparison]:
        """The comparisons of what a backend came to."""
        if isinstance(found, Failure):
            yield self._failed(backend, "run", found.reason)
            return
        loss, finite, *gradients = self.expected.outputs
        if not finite:
            yield self._failed(backend, "run", "the loss or a gradient is not finite")
            return
        ours_loss, _, *ours = found.outputs
        forward, backward = (table[working_dtype(self.graph, DTYPE)] for table in (FORWARD, BACKWARD))
        yield self._row(backend, "output", "loss", ours_loss, loss, forward, 0.0)
        floor = _floor(gradients, backward)
        for path, a, b in zip(self.weights, ours, gradients, strict=True):
            yield self._row(backend, "gradient", path, a, b, backward, floor)
        floor = _floor(list(self.expected.updates.values()), backward)
        for path, value in self.expected.updates.items():
            kind = "weight" if path in self.weights else "state"
            yield self._row(backend, kind, path, found.updates[path], value, backward, floor)

    def excused(self, rows: list[Comparison], run: Callable[..., Result]) -> list[Comparison]:
        """The rows, with larger tolerances where rounding alone explains what is beyond them.

        In front of a normalization gradients are sums that cancel: all that is left of them may be rounding.
        """
        if all(row.ok or row.problem is not None for row in rows):
            return rows
        noise: dict[str, float] = {}
        for disturb in roundings(DTYPE):
            for row in self.rows(ORACLE, run(disturb=disturb)):
                noise[row.name] = max(noise.get(row.name, 0.0), row.relative)
        return [row if row.ok else allowed(row, MARGIN * noise.get(row.name, 0.0)) for row in rows]

    def _row(
        self, backend: str, kind: str, name: str, found: Array, expected: Array, tolerance: float, floor: float
    ) -> Comparison:
        absolute, relative, problem = difference(found, expected, floor)
        where = (MODE, DTYPE, kind, f"{name} after step {self.number}", backend, self.lead)
        return Comparison(*where, absolute, relative, tolerance, problem)

    def _failed(self, backend: str, kind: str, reason: str) -> Comparison:
        return _failed(backend, self.lead, kind, f"step {self.number}", reason)


def _failed(backend: str, lead: str, kind: str, name: str, reason: str) -> Comparison:
    worst = float("inf")
    return Comparison(MODE, DTYPE, kind, name, backend, lead, worst, worst, 0.0, reason)


def _floor(arrays: Sequence[Array], tolerance: float) -> float:
    """The least scale that counts beside the largest of these numbers: see `resolution`."""
    largest = max((float(np.abs(a).max(initial=0.0)) for a in arrays if is_float(a.dtype)), default=0.0)
    return resolution(DTYPE) / tolerance * largest


def _scored(network: Graph) -> Graph:
    """The network with one number to minimize: its own, or the mean squares of its outputs."""
    floats = [v for v in network.outputs if v.dtype.is_float]
    if not floats:
        raise error("E543", f"`{network.name}` gives no floats, so that there is nothing to minimize")
    if len(network.outputs) == 1 and not floats[0].rank:
        return network
    total, *others = [_square(v) for v in floats]
    for other in others:
        total = total + other
    return replace(network, outputs=(total,))


def _square(value: Value) -> Value:
    score: Value = build.mean(value * value)
    return score
