"""The verification of a network: every backend, mode and precision."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from architrave.backends.agree.backward import Backward
from architrave.backends.agree.difference import (
    BACKWARD,
    FORWARD,
    difference,
    dtype_problem,
    working_dtype,
)
from architrave.backends.agree.diverge import first_divergence
from architrave.backends.agree.gradient import GradientOracle
from architrave.backends.agree.noise import excused, forward_noise, gradient_noise, resolution, roundings
from architrave.backends.agree.report import ORACLE, Comparison, Divergence, Report
from architrave.backends.agree.trial import Trial, trial
from architrave.backends.agree.witness import (
    Failure,
    Witness,
    attempt,
    gradient_arrays,
    gradient_sources,
    in_precision,
    precision,
    results,
    witness,
)
from architrave.backends.base import backend, names
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.interpret import Result, interpret
from architrave.ir.mode import specialize
from architrave.ir.source import error

MODES = ("inference", "training")


def verify(
    graph: Graph,
    backends: Sequence[str] | None = None,
    dtypes: Sequence[str] = ("float32", "float64"),
    modes: Sequence[str] = MODES,
    gradients: bool = True,
    sizes: Mapping[str, int] | None = None,
    seed: int = 0,
    progress: Callable[[str], object] = lambda step: None,
) -> Report:
    """Compare what the backends compute with the oracle, and with one another.

    `backends` are all by default; one whose framework is not installed is skipped, which the report says. `sizes` are
    those of symbolic dimensions. `progress` is told what is done next. Raises E400 for an unknown backend, E518 for an
    unknown dtype or mode, E519 for sizes that do not fit.
    """
    chosen = tuple(names() if backends is None else backends)
    for name in chosen:
        backend(name)
    _known("dtype", dtypes, FORWARD)
    _known("mode", modes, MODES)
    # All precisions get the same numbers: such as the coarsest of them holds.
    coarsest = max(dtypes, key=FORWARD.__getitem__)
    drawn = trial(graph, sizes, seed, precision(coarsest))
    report = Report(graph.name, drawn.sizes, seed)
    for mode in modes:
        if mode == "training" and len(modes) > 1 and not _has_training(graph):
            report.skipped["training"] = "it is the same as inference"
            continue
        _Mode(graph, mode, drawn, gradients, report, progress).verify(chosen, dtypes)
    return report


@dataclass(frozen=True)
class _Mode:
    """The verification of one mode. What it finds goes to the report."""

    graph: Graph
    mode: str
    trial: Trial
    gradients: bool
    report: Report
    progress: Callable[[str], object]

    def verify(self, backends: Sequence[str], dtypes: Sequence[str]) -> None:
        witnesses = [w for w in map(self._witness, backends) if w is not None]
        self._tell("the oracle")
        expected = interpret(self.graph, self.trial.inputs, self.trial.weights, self._training, key=self.trial.key)
        oracle = self._oracle(expected)
        for dtype in dtypes:
            ran = self._forward(witnesses, dtype, expected)
            if oracle is not None:
                self._backward([w for w in witnesses if w.backend in ran], dtype, oracle)

    @property
    def _training(self) -> bool:
        return self.mode == "training"

    def _tell(self, step: str) -> None:
        self.progress(f"{self.mode}: {step}")

    def _witness(self, name: str) -> Witness | None:
        self._tell(f"compiling to {name}")
        found = witness(self.graph, name, self._training)
        if isinstance(found, Witness):
            return found
        if found.expected:
            self.report.skipped[f"{name} in {self.mode}"] = found.reason
        else:
            self._failed(name, "any", "compile", found)
        return None

    def _failed(self, name: str, dtype: str, kind: str, failure: Failure) -> None:
        worst = float("inf")
        self.report.comparisons.append(
            Comparison(self.mode, dtype, kind, self.graph.name, name, ORACLE, worst, worst, 0.0, failure.reason)
        )

    def _forward(self, witnesses: Sequence[Witness], dtype: str, expected: Result) -> dict[str, Result]:
        """Compare outputs and new states; gives those of the backends that ran."""
        ran: dict[str, Result] = {}
        broken: list[str] = []
        for each in witnesses:
            self._tell(f"{each.backend} in {dtype}")
            result = each.run(self.trial, precision(dtype))
            if isinstance(result, Failure):
                self._failed(each.backend, dtype, "run", result)
                broken.append(each.backend)
            else:
                ran[each.backend] = result
        rows = [row for name, result in ran.items() for row in self._rows(dtype, name, result, ORACLE, expected)]
        for (left, a), (right, b) in itertools.combinations(ran.items(), 2):
            rows += self._rows(dtype, left, a, right, b)
        rows = excused(rows, lambda narrow: self._forward_noise(expected, narrow))
        self.report.comparisons.extend(rows)
        wrong = [row.left for row in rows if row.right == ORACLE and not row.ok]
        for name in dict.fromkeys([*broken, *wrong]):
            self._locate(dtype, name)
        return ran

    def _rows(self, dtype: str, left: str, actual: Result, right: str, expected: Result) -> list[Comparison]:
        tolerance = FORWARD[working_dtype(self.graph, dtype)]
        types = [*(v.type for v in self.graph.outputs), *(old.type for old, _ in self.graph.updates)]
        pairs = zip(results(self.graph, actual), results(self.graph, expected), types, strict=True)
        rows: list[Comparison] = []
        for (kind, name, a), (_, _, b), type in pairs:
            wrong = dtype_problem(a, type, precision(dtype)) if right == ORACLE else None
            absolute, relative, problem = difference(a, b)
            where = (self.mode, dtype, kind, name, left, right)
            rows.append(Comparison(*where, absolute, relative, tolerance, problem or wrong))
        return rows

    def _forward_noise(self, expected: Result, dtype: str) -> Mapping[str, float]:
        self._tell(f"what rounding to {dtype} does")
        return forward_noise(self.graph, self._training, self.trial, expected, roundings(dtype))

    def _locate(self, dtype: str, name: str) -> None:
        """Find the first node that differs, once for each backend."""
        if any(d.backend == name for d in self.report.divergences):
            return
        self._tell(f"looking for where {name} differs")
        tolerance = FORWARD[working_dtype(self.graph, dtype)]
        divergence = first_divergence(self.graph, name, self._training, self.trial, dtype, tolerance)
        if divergence is not None:
            self.report.divergences.append(divergence)

    def _oracle(self, expected: Result) -> GradientOracle | None:
        """What the gradients are; None where they are not asked for or cannot be said."""
        if not self.gradients:
            return None
        self._tell("gradients of the oracle")
        oracle = attempt(lambda: GradientOracle.of(self.graph, self._training, self.trial, expected))
        if isinstance(oracle, GradientOracle):
            return oracle
        self._failed(ORACLE, "any", "gradient", oracle)
        return None

    def _backward(self, witnesses: Sequence[Witness], dtype: str, oracle: GradientOracle) -> None:
        """Compare the gradients of every backend with the oracle's."""
        for each in witnesses:
            self._tell(f"gradients of {each.backend} in {dtype}")
            found = each.gradients(self.trial, precision(dtype), oracle.cotangents)
            if isinstance(found, Failure):
                self._failed(each.backend, dtype, "gradient", found)
            else:
                self._gradients(dtype, each.backend, gradient_arrays(self.graph, found), oracle)

    def _gradients(self, dtype: str, name: str, found: Mapping[str, Array], oracle: GradientOracle) -> None:
        tolerance = BACKWARD[working_dtype(self.graph, dtype)]
        floor = resolution(dtype) / tolerance * oracle.largest
        rows: list[Comparison] = []
        for source, wanted in oracle.expected.items():
            absolute, relative, problem = difference(found[source], wanted, floor)
            where = (self.mode, dtype, "gradient", source, name, ORACLE)
            rows.append(Comparison(*where, absolute, relative, tolerance, problem))
        rows = excused(rows, lambda narrow: gradient_noise(oracle, floor, roundings(narrow)))
        self.report.comparisons.extend(rows)
        wrong = [row.name for row in rows if not row.ok]
        if not wrong or any(d.backend == name for d in self.report.divergences):
            return
        self._tell(f"looking for where the gradients of {name} differ")
        given = in_precision(self.trial, precision(dtype))
        search = Backward(self.graph, name, self._training, given, oracle.cotangents, tolerance, floor)
        # What was declared last is nearest to the outputs, as a rule.
        divergence = search.first(gradient_sources(self.graph)[wrong[-1]])
        if divergence is not None:
            node, problem = divergence
            self.report.divergences.append(Divergence.at(node, name, self.mode, dtype, problem))


def _has_training(graph: Graph) -> bool:
    """Whether training computes something else than inference."""
    training, inference = specialize(graph, True), specialize(graph, False)
    return bool(training.updates) or training != inference


def _known(what: str, given: Sequence[str], known: Sequence[str] | Mapping[str, float]) -> None:
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None or not given:
        raise error("E518", f"there is no {what} `{unknown or ''}`", hint=f"it is one of {', '.join(known)}")
