"""Running one backend for a verification: what it computes, or why it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from architrave.backends.agree.trial import Trial
from architrave.backends.load import Program, compile
from architrave.backends.runner import Gradients
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import Result
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.ir.storage import is_float, numpy_dtype
from architrave.ir.types import DType

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """Why a backend gave no result. `expected` says that its framework is not installed, which is no finding."""

    reason: str
    expected: bool = False


@dataclass(frozen=True)
class Witness:
    """A backend's program for one mode of a network that updates some states."""

    backend: str
    program: Program
    training: bool
    updated: tuple[str, ...]

    def run(self, trial: Trial, dtype: Any) -> Result | Failure:
        """The outputs and new states in the given precision."""
        given = in_precision(trial, dtype)
        return attempt(lambda: self._run(given))

    def _run(self, given: Trial) -> Result:
        result = self.program.run(given.weights, *given.inputs, training=self.training, key=given.key)
        # The program of one mode alone does not give the states that this mode leaves as they are.
        kept = {path: given.weights[path] for path in self.updated}
        return Result(result.outputs, kept | result.updates)

    def gradients(self, trial: Trial, dtype: Any, cotangents: list[Array | None]) -> Gradients | Failure:
        """The gradients in the given precision."""
        given = in_precision(trial, dtype)
        wanted = [None if c is None else narrowed(c, dtype) for c in cotangents]
        return attempt(
            lambda: self.program.gradients(
                given.weights, *given.inputs, cotangents=wanted, training=self.training, key=trial.key
            )
        )


def witness(graph: Graph, backend: str, training: bool) -> Witness | Failure:
    """Compile a graph, both modes in one program where the backend can write that."""
    updated = tuple(path_of(old) for old, _ in graph.updates)
    program = attempt(lambda: _program(graph, backend))
    if isinstance(program, Failure):
        one = specialize(graph, training)
        program = attempt(lambda: _program(one, backend))
    return program if isinstance(program, Failure) else Witness(backend, program, training, updated)


def attempt(action: Callable[[], T]) -> T | Failure:
    """What the action gives. A program that fails is a finding, whatever it raises."""
    try:
        return action()
    except ArchitraveError as problem:
        first = problem.diagnostics[0]
        return Failure(first.message, expected=first.code == "E522")
    except Exception as problem:
        text = str(problem).strip().split("\n")[0]
        return Failure(f"{type(problem).__name__}: {text[:300]}")


def in_precision(trial: Trial, dtype: Any) -> Trial:
    """The trial with the weights and inputs of the chosen precision in `dtype`."""
    weights = {path: narrowed(w, dtype) for path, w in trial.weights.items()}
    inputs = tuple(narrowed(x, dtype) for x in trial.inputs)
    return Trial(trial.sizes, weights, inputs, trial.seed)


def narrowed(array: Array, dtype: Any) -> Array:
    """Floats in `dtype`, complex numbers with parts as wide as it allows, and others as they are."""
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        if array.dtype.kind == "c":
            return array.astype(numpy_dtype(DType.COMPLEX, dtype))
        return array.astype(dtype) if is_float(array.dtype) else array


def precision(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a precision by its name: `float32`."""
    named = {"float64": DType.F64, "float32": DType.F32, "float16": DType.F16, "bfloat16": DType.BF16}
    return numpy_dtype(named[name])


def results(graph: Graph, result: Result) -> Iterator[tuple[str, str, Array]]:
    """The kind, the name and the value of each result."""
    for name, value in zip(output_names(graph), result.outputs, strict=True):
        yield "output", name, value
    for path, value in result.updates.items():
        yield "state", path, value


def output_names(graph: Graph) -> list[str]:
    """A name for each output: its own where no other has it."""
    hints = [v.hint or "" for v in graph.outputs]
    return [hint if hint and hints.count(hint) == 1 else f"output {i}" for i, hint in enumerate(hints)]


def gradient_arrays(graph: Graph, gradients: Gradients) -> Mapping[str, Array]:
    """The gradients by the names of what they are of."""
    of_inputs = {name: g for name, g in zip(input_labels(graph), gradients.inputs, strict=True) if g is not None}
    return {**gradients.params, **of_inputs}


def gradient_sources(graph: Graph) -> Mapping[str, Value]:
    """The params and inputs by the names of their gradients."""
    return {**{path_of(w): w for w in graph.weights}, **dict(zip(input_labels(graph), graph.inputs, strict=True))}


def input_labels(graph: Graph) -> list[str]:
    """The names of the gradients of the inputs."""
    return [f"input {getattr(v.op, 'label', i)}" for i, v in enumerate(graph.inputs)]


def _program(graph: Graph, backend: str) -> Program:
    program = compile(graph, backend)
    _ = program.runner
    return program
