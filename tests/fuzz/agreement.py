"""Comparing every backend with the oracle on a drawn graph, in float64, forward and gradient.

The tolerances are those of `verify`. Where a result misses its own, the oracle says whether rounding explains it: it
runs the graph with every number that is computed moved by some roundings. A result may jump under that, as `floor` and
the gradient of `maximum` do; then it may differ by twice as much. Gradients may also differ by roundings of the largest
of what flows back, for they may cancel to nothing.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from architrave.backends.agree.difference import BACKWARD, FORWARD, Difference, difference
from architrave.backends.agree.gradient import GradientOracle
from architrave.backends.agree.noise import MARGIN, STEPS, resolution
from architrave.backends.agree.trial import Trial
from architrave.backends.agree.witness import gradient_arrays
from architrave.backends.load import Program, compile
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.interpret import Result, interpret
from architrave.ir.mode import specialize
from architrave.ir.nested import remade
from architrave.ir.rewrite import rebuild
from architrave.ir.storage import constant_of
from architrave.ir.types import DType
from tests.fuzz.graphs import Drawn

Array = np.ndarray[Any, Any]

BACKENDS = ("numpy", "torch", "jax")
SHAKES = 16


@dataclass(frozen=True)
class Agreement:
    """One drawn graph, and what the oracle makes of it."""

    drawn: Drawn

    @cached_property
    def trial(self) -> Trial:
        return Trial({}, self.drawn.weights, tuple(self.drawn.inputs), 0)

    @cached_property
    def expected(self) -> Result:
        return interpret(self.drawn.graph, self.drawn.inputs, self.drawn.weights, self.drawn.training)

    @cached_property
    def oracle(self) -> GradientOracle:
        return GradientOracle.of(self.drawn.graph, self.drawn.training, self.trial, self.expected)

    @property
    def has_gradients(self) -> bool:
        """Whether there are gradients, all of them finite."""
        sources = any(differentiable(v.type) for v in (*self.drawn.graph.inputs, *self.drawn.graph.weights))
        flows = any(differentiable(v.type) for v in self.drawn.graph.outputs)
        return sources and flows and all(np.all(np.isfinite(g)) for g in self.oracle.expected.values())

    def check(self, backend: str) -> None:
        """Compare one backend. What is raised shows the graph, as text that can be read back, and the program."""
        program = compile(self.drawn.graph, backend)
        try:
            self._check(backend, program)
        except Exception as problem:
            raise AssertionError(f"{backend}: {problem!r}\n{self.drawn!r}\n{program.source}") from problem

    def _check(self, backend: str, program: Program) -> None:
        drawn = self.drawn
        with eagerly(backend):
            found = program.run(drawn.weights, *drawn.inputs, training=drawn.training).outputs
            self.compare("output", found, self.expected.outputs, FORWARD["float64"], 0.0)
            if not self.has_gradients:
                return
            options: dict[str, Any] = {"cotangents": self.oracle.cotangents, "training": drawn.training}
            gradients = program.gradients(drawn.weights, *drawn.inputs, **options)
        taken = gradient_arrays(drawn.graph, gradients)
        wanted = self.oracle.expected
        flowing = max(float(np.max(np.abs(c), initial=0.0)) for c in self.oracle.cotangents if c is not None)
        floor = resolution("float64") / BACKWARD["float64"] * max(self.oracle.largest, flowing)
        named = [taken[name] for name in wanted]
        self.compare("gradient", named, list(wanted.values()), BACKWARD["float64"], floor)

    def compare(
        self, kind: str, found: Sequence[Array], wanted: Sequence[Array], tolerance: float, floor: float
    ) -> None:
        for position, (a, b) in enumerate(zip(found, wanted, strict=True)):
            seen = difference(a, b, floor)
            if seen.problem is None and seen.relative <= tolerance:
                continue
            assert self.excused(kind, position, seen, b, floor), f"{kind} {position}: {seen}\n{a}\n{b}"

    def excused(self, kind: str, position: int, seen: Difference, wanted: Array, floor: float) -> bool:
        """Whether rounding alone changes a result as much."""
        moved = self.shaken_outputs if kind == "output" else self.shaken_gradients
        return any(MARGIN * difference(each[position], wanted, floor).relative >= seen.relative for each in moved)

    @cached_property
    def shaken_outputs(self) -> list[Sequence[Array]]:
        graph = specialize(self.drawn.graph, self.drawn.training)
        return [
            interpret(shaken(graph, number), self.drawn.inputs, self.drawn.weights).outputs for number in range(SHAKES)
        ]

    @cached_property
    def shaken_gradients(self) -> list[Sequence[Array]]:
        mode, cotangents = self.oracle.mode, self.oracle.cotangents
        return [
            list(
                gradient_arrays(
                    mode.graph,
                    mode.gradients(
                        lambda inputs, number=number: (
                            interpret(shaken(mode.backward, number), inputs, self.drawn.weights).outputs
                        ),
                        self.drawn.inputs,
                        cotangents,
                    ),
                ).values()
            )
            for number in range(SHAKES)
        ]


def shaken(graph: Graph, seed: int) -> Graph:
    """The graph with each float that it computes moved by up to some roundings."""
    rng = np.random.default_rng(seed)

    def moved(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not node.operands:
            return None
        results = remade(node, node.op, operands)
        return [_moved(v, rng) if v.dtype is DType.FLOAT else v for v in results]

    return rebuild(graph, moved)


def _moved(value: Value, rng: np.random.Generator) -> Value:
    factors = 1 + rng.uniform(-1, 1, [int(s) for s in value.shape]) * STEPS * 2.0**-53  # type: ignore[arg-type]
    return value * make(constant_of(factors, DType.FLOAT, factors.shape), ()).outputs[0]


def eagerly(backend: str) -> AbstractContextManager[Any]:
    """JAX without its compiler, which would take longer than everything else together."""
    if backend != "jax":
        return nullcontext()
    import jax

    disabled: AbstractContextManager[Any] = jax.disable_jit()
    return disabled
