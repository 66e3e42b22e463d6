"""Comparing every backend with the oracle on a drawn graph, in float64, forward and gradient.

Tolerances and the rule for what rounding explains are those of `verify`. There nothing is excused in float64; here it
is, for drawn graphs divide by nearly nothing, and jump as `floor` and the gradient of `maximum` do.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from architrave.backends.agree.difference import BACKWARD, FORWARD, difference
from architrave.backends.agree.gradient import GradientOracle
from architrave.backends.agree.noise import MARGIN, Noise, forward_noise, gradient_noise, resolution, roundings
from architrave.backends.agree.trial import Trial
from architrave.backends.agree.witness import gradient_arrays, results
from architrave.backends.load import Program, compile
from architrave.ir.arrays import Array
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.graph import Graph
from architrave.ir.interpret import Disturbance, Result, interpret
from tests.fuzz.graphs import Drawn

BACKENDS = ("numpy", "torch", "jax")
TRIES = 8
"""How often rounding is tried: a jump may be rare."""


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
        graph, training, weights, inputs = self.drawn.graph, self.drawn.training, self.drawn.weights, self.drawn.inputs
        with eagerly(backend):
            result = program.run(weights, *inputs, training=training)
            compare(_named(graph, result), _named(graph, self.expected), FORWARD["float64"], 0.0, self.forward_noise)
            if not self.has_gradients:
                return
            found = program.gradients(weights, *inputs, cotangents=self.oracle.cotangents, training=training)
        floor = self.floor
        noise = partial(gradient_noise, self.oracle, floor, disturbances())
        compare(gradient_arrays(graph, found), self.oracle.expected, BACKWARD["float64"], floor, noise)

    @property
    def floor(self) -> float:
        """What gradients may differ by, over the tolerance: the roundings of the largest of what flows back."""
        flowing = max(float(np.max(np.abs(c), initial=0.0)) for c in self.oracle.cotangents if c is not None)
        return resolution("float64") / BACKWARD["float64"] * max(self.oracle.largest, flowing)

    def forward_noise(self) -> Noise:
        return forward_noise(self.drawn.graph, self.drawn.training, self.trial, self.expected, disturbances())


def disturbances() -> list[Disturbance]:
    """What rounding may do. In half of the tries what should be zero is some roundings of the largest number beside it:
    the sine of pi, say, or a sum that cancels.
    """
    return [*roundings("float64", TRIES), *map(beside_zero, roundings("float64", TRIES))]


def beside_zero(disturb: Disturbance) -> Disturbance:
    def moved(x: Array) -> Array:
        largest = np.max(np.abs(x), initial=0, where=np.isfinite(x))
        return disturb(x) + (disturb(np.full(x.shape, largest)) - largest)

    return moved


def compare(
    found: Mapping[str, Array],
    expected: Mapping[str, Array],
    tolerance: float,
    floor: float,
    noise: Callable[[], Noise],
) -> None:
    """Raise unless each array is as expected, or rounding alone changes it as much."""
    known: Noise | None = None
    for name, wanted in expected.items():
        seen = difference(found[name], wanted, floor)
        if seen.problem is None and seen.relative <= tolerance:
            continue
        known = noise() if known is None else known
        assert seen.relative <= MARGIN * known[name], f"{name}: {seen}, {known[name]}\n{found[name]}\n{wanted}"


def _named(graph: Graph, result: Result) -> dict[str, Array]:
    return {name: value for _, name, value in results(graph, result)}


def eagerly(backend: str) -> AbstractContextManager[Any]:
    """JAX without its compiler, which would take longer than everything else together."""
    if backend != "jax":
        return nullcontext()
    import jax

    disabled: AbstractContextManager[Any] = jax.disable_jit()
    return disabled
