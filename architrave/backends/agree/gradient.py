"""What the gradients are: those of `ir.autodiff`, run by the oracle in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from architrave.backends.agree.trial import Trial, random_array
from architrave.backends.agree.witness import gradient_arrays
from architrave.backends.differentiated import Differentiated
from architrave.ir.arrays import Array
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.graph import Graph
from architrave.ir.interpret import Disturbance, Result, interpret
from architrave.ir.types import DType, TensorType


@dataclass(frozen=True)
class GradientOracle:
    """The gradients of one mode of a network. `cotangents` are what flows back to its outputs."""

    mode: Differentiated
    trial: Trial
    cotangents: list[Array | None]

    @classmethod
    def of(cls, graph: Graph, training: bool, trial: Trial, expected: Result) -> GradientOracle:
        """The oracle of a network whose outputs on the trial are `expected`."""
        return cls(Differentiated.of(graph, training), trial, _cotangents(graph, expected, trial.seed))

    @cached_property
    def expected(self) -> Mapping[str, Array]:
        """The gradients on the trial, by the names of what they are of."""
        return self.gradients()

    @property
    def largest(self) -> float:
        """The largest number of all gradients."""
        return max((float(np.abs(g).max(initial=0.0)) for g in self.expected.values()), default=0.0)

    def gradients(self, disturb: Disturbance | None = None) -> Mapping[str, Array]:
        """The gradients, where `disturb` may change every number that they come from."""
        mode, trial = self.mode, self.trial

        def run(inputs: Sequence[Array]) -> tuple[Array, ...]:
            return interpret(mode.backward, inputs, trial.weights, key=trial.key, disturb=disturb).outputs

        return gradient_arrays(mode.graph, mode.gradients(run, trial.inputs, self.cotangents))


def _cotangents(graph: Graph, expected: Result, seed: int) -> list[Array | None]:
    """One for each output of floats or complex numbers, zero where the output itself is not a finite number."""
    cotangents: list[Array | None] = []
    for i, (value, output) in enumerate(zip(graph.outputs, expected.outputs, strict=True)):
        if not differentiable(value.type):
            cotangents.append(None)
            continue
        dtype = DType.C64 if value.dtype.is_complex else DType.F32
        drawn = random_array(TensorType(dtype, output.shape), seed, f"cotangent {i}", np.float32)
        cotangents.append(np.where(np.isfinite(output), drawn, 0))
    return cotangents
