"""The matrix of operators: every sample of each, in each precision, forward and gradient, by every witness.

Witnesses are the backends and the oracle itself. Backends are compared with the oracle. The oracle, which computes in
float64, is compared with itself where it rounds to the precision in question, and its gradients with differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeVar

import numpy as np

from architrave.backends.agree.difference import BACKWARD, FORWARD, difference, dtype_problem, working_dtype
from architrave.backends.agree.gradient import GradientOracle
from architrave.backends.agree.noise import MARGIN, Noise, forward_noise, gradient_noise, resolution, roundings
from architrave.backends.agree.report import ORACLE
from architrave.backends.agree.slopes import Slopes
from architrave.backends.agree.trial import Trial
from architrave.backends.agree.witness import Failure, attempt, in_precision, narrowed, output_names, precision
from architrave.backends.load import compile
from architrave.ir.arrays import Array
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.graph import Graph, make
from architrave.ir.interpret import Result, interpret
from architrave.ir.op import Op, Sample, without_gradient
from architrave.ir.ops.leaves import Input
from architrave.ir.types import DType

DTYPES = ("float32", "float64", "bfloat16")
DIRECTIONS = ("forward", "gradient")

T = TypeVar("T")


@dataclass(frozen=True)
class Cell:
    """How many samples of an operator pass, and what is wrong with the others; or why there is nothing to pass."""

    op: str
    dtype: str
    direction: str
    witness: str
    samples: int
    problems: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def passed(self) -> int:
        return self.samples - len(self.problems)

    @property
    def ok(self) -> bool:
        """Whether the cell is no hole."""
        return self.reason is not None or self.passed == self.samples > 0


def matrix(kinds: Iterable[type[Op]], backends: Sequence[str], dtypes: Sequence[str] = DTYPES) -> Iterator[Cell]:
    """The cells of these operators, computed as they are asked for."""
    for kind in kinds:
        for dtype in dtypes:
            yield from _Row(kind, dtype).cells(backends)


@dataclass(frozen=True)
class _Case:
    """A sample in some precision, with what the oracle makes of it."""

    graph: Graph
    trial: Trial
    dtype: str

    @cached_property
    def expected(self) -> Result:
        return interpret(self.graph, self.trial.inputs)

    @cached_property
    def oracle(self) -> GradientOracle:
        return GradientOracle.of(self.graph, False, self.trial, self.expected)

    @property
    def has_gradients(self) -> bool:
        """Whether there is something to differentiate, and by something. What flows back through a NaN is left open."""
        sides = (self.graph.inputs, self.graph.outputs)
        floats = [y for y in self.expected.outputs if y.dtype.kind in "fc"]
        return all(any(differentiable(v.type) for v in side) for side in sides) and not any(map(_has_nan, floats))

    def outputs_problem(self, found: Sequence[Array], chosen: str) -> str | None:
        """What is wrong with outputs."""
        tolerance = FORWARD[working_dtype(self.graph, self.dtype)]
        noise: Noise | None = None
        names = output_names(self.graph)
        for name, value, a, b in zip(names, self.graph.outputs, found, self.expected.outputs, strict=True):
            wrong = dtype_problem(a, value.type, precision(chosen))
            seen = difference(a, b)
            if (problem := wrong or seen.problem) is not None:
                return problem
            if seen.relative <= tolerance:
                continue
            if noise is None and self.dtype != "float64":
                noise = forward_noise(self.graph, False, self.trial, self.expected, roundings(self.dtype))
            if seen.relative > MARGIN * (noise or {}).get(name, 0.0):
                return f"relative error {seen.relative:.1e}, allowed {tolerance:.0e}"
        return None

    def gradients_problem(self, found: Sequence[Array | None]) -> str | None:
        """What is wrong with the gradients by the inputs."""
        tolerance = BACKWARD[working_dtype(self.graph, self.dtype)]
        floor = resolution(self.dtype) / tolerance * max(self.oracle.largest, self._flowing)
        gradients = [g for g in found if g is not None]
        for a, (name, b) in zip(gradients, self.oracle.expected.items(), strict=True):
            seen = difference(a, b, floor)
            if seen.problem is not None:
                return seen.problem
            if seen.relative <= tolerance:
                continue
            noise: Noise = {} if self.dtype == "float64" else gradient_noise(self.oracle, floor, roundings(self.dtype))
            if seen.relative > MARGIN * noise.get(name, 0.0):
                return f"relative error {seen.relative:.1e}, allowed {tolerance:.0e}"
        return None

    @property
    def _flowing(self) -> float:
        """The largest number that flows back: gradients that cancel to nothing leave its roundings."""
        return max((float(np.max(np.abs(c), initial=0.0)) for c in self.oracle.cotangents if c is not None), default=0)

    def slopes_problem(self) -> str | None:
        """What is wrong with the oracle's own gradients."""
        expected = iter(self.oracle.expected.values())
        gradients = [next(expected) if differentiable(v.type) else None for v in self.graph.inputs]
        return Slopes(self.graph, self.trial.inputs, self.oracle.cotangents).problem(gradients)


@dataclass(frozen=True)
class _Row:
    """One operator in one precision."""

    kind: type[Op]
    dtype: str

    @cached_property
    def samples(self) -> list[Sample]:
        return [sample for sample in self.kind.samples() if sample.error is None]

    @cached_property
    def cases(self) -> list[_Case]:
        graphs = [_graph(self.kind, number, sample) for number, sample in enumerate(self.samples)]
        drawn = [sample.draw(number) for number, sample in enumerate(self.samples)]
        trials = [in_precision(Trial({}, {}, inputs, 0), precision(self.dtype)) for inputs in drawn]
        return [_Case(g, t, self.dtype) for g, t in zip(graphs, trials, strict=True) if self._has(g)]

    @cached_property
    def differentiated(self) -> list[_Case]:
        return [case for case in self.cases if case.has_gradients]

    def cells(self, backends: Sequence[str]) -> Iterator[Cell]:
        for name in backends:
            yield self._cell("forward", name, self.cases, partial(self._forward, name))
        yield self._cell("forward", ORACLE, self.cases, self._rounded)
        cases = [] if self._reason("gradient") else self.differentiated
        for name in backends:
            yield self._cell("gradient", name, cases, partial(self._backward, name))
        # What stands in for a slope is compared with none.
        sloped = [] if self.kind.surrogate else cases
        yield self._cell("gradient", ORACLE, sloped, lambda: [case.slopes_problem() for case in cases])

    def _cell(
        self, direction: str, witness: str, cases: Sequence[_Case], run: Callable[[], Sequence[str | None]]
    ) -> Cell:
        reason = self._reason(direction) or (None if cases else self.kind.surrogate)
        if reason is not None or not cases:
            return Cell(self.kind.name, self.dtype, direction, witness, 0, reason=reason)
        found = attempt(run)
        problems = [found.reason] * len(cases) if isinstance(found, Failure) else [p for p in found if p is not None]
        return Cell(self.kind.name, self.dtype, direction, witness, len(cases), tuple(problems))

    def _reason(self, direction: str) -> str | None:
        """Why there is nothing to compute; None where there is something."""
        kind = self.kind
        if not self.samples:
            return kind.unsampled
        if self.dtype == "bfloat16" and kind.not_in_bf16 is not None:
            return kind.not_in_bf16
        if not self.cases:
            return "no such complex numbers" if self.dtype == "bfloat16" else "integers"
        if direction == "forward":
            return None
        if kind.gradient is without_gradient:
            return "none by definition"
        return None if self.differentiated else "integers"

    def _has(self, graph: Graph) -> bool:
        """Whether the precision makes a difference to a sample, and is one that it can have."""
        dtypes = [v.dtype for v in graph.inputs]
        if self.dtype == "bfloat16":
            every = [v.dtype for node in graph.nodes for v in node.outputs]
            return DType.FLOAT in dtypes and not any(dtype.is_complex for dtype in every)
        # Without a float input the run is in float32, whatever is asked for.
        return self.dtype == "float32" or DType.FLOAT in dtypes or DType.COMPLEX in dtypes

    def _forward(self, backend: str) -> list[str | None]:
        def outputs(graph: Graph, cases: Sequence[_Case]) -> list[tuple[Sequence[Array], str]]:
            found = compile(graph, backend).run({}, *_inputs(cases)).outputs
            chosen = self.dtype if any(v.dtype in (DType.FLOAT, DType.COMPLEX) for v in graph.inputs) else "float32"
            return [(part, chosen) for part in _parts(found, [len(case.graph.outputs) for case in cases])]

        found = _together(self.cases, outputs)
        pairs = zip(self.cases, found, strict=True)
        return [f.reason if isinstance(f, Failure) else case.outputs_problem(*f) for case, f in pairs]

    def _backward(self, backend: str) -> list[str | None]:
        def gradients(graph: Graph, cases: Sequence[_Case]) -> list[Sequence[Array | None]]:
            flowing = [c for case in cases for c in case.oracle.cotangents]
            given = [None if c is None else narrowed(c, precision(self.dtype)) for c in flowing]
            found = compile(graph, backend).gradients({}, *_inputs(cases), cotangents=given).inputs
            return _parts(found, [len(case.graph.inputs) for case in cases])

        found = _together(self.differentiated, gradients)
        pairs = zip(self.differentiated, found, strict=True)
        return [f.reason if isinstance(f, Failure) else case.gradients_problem(f) for case, f in pairs]

    def _rounded(self) -> list[str | None]:
        chosen = precision(self.dtype)
        return [
            c.outputs_problem(interpret(c.graph, c.trial.inputs, dtype=chosen).outputs, c.dtype) for c in self.cases
        ]


def _together(cases: Sequence[_Case], run: Callable[[Graph, Sequence[_Case]], Sequence[T]]) -> list[T | Failure]:
    """What becomes of cases: all in one program, or each by itself where that fails."""
    graph = Graph(
        cases[0].graph.name,
        tuple(v for case in cases for v in case.graph.inputs),
        tuple(v for case in cases for v in case.graph.outputs),
    )
    found = attempt(lambda: run(graph, cases))
    if not isinstance(found, Failure):
        return list(found)
    if len(cases) == 1:
        return [found]
    return [result for case in cases for result in _together([case], run)]


def _graph(kind: type[Op], number: int, sample: Sample) -> Graph:
    inputs = tuple(make(Input(f"x{number}_{i}", type), ()).outputs[0] for i, type in enumerate(sample.types))
    return Graph(kind.name, inputs, make(kind(**sample.attributes), inputs).outputs)


def _inputs(cases: Sequence[_Case]) -> list[Array]:
    return [x for case in cases for x in case.trial.inputs]


def _parts(values: Sequence[T], counts: Sequence[int]) -> list[Sequence[T]]:
    ends = np.cumsum(counts)
    return [values[end - count : end] for count, end in zip(counts, ends, strict=True)]


def _has_nan(x: Array) -> bool:
    return bool(np.isnan(x).any())
