"""Running JAX programs on NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from architrave.backends.runner import Execution, Gradients, Runner, Session, listed
from architrave.ir.arrays import Array
from architrave.ir.interpret import Result
from architrave.ir.ops.leaves import path_of
from architrave.ir.storage import is_differentiable
from architrave.weights import nest, unnest


class JAXRunner(Runner):
    """Programs are pure functions of nested dicts, compiled when they first run.

    Numbers of 64 bits are let in where the run is in float64, and only there.
    """

    def __init__(self) -> None:
        import jax

        self.jax: Any = jax
        self._compiled: dict[object, Callable[..., Any]] = {}

    def run(self, execution: Execution) -> Result:
        with self.precision(execution):
            params, state, inputs = self.arguments(execution)
            outputs, new = self.applied(execution)(params, state, inputs, execution.options())
            flat = unnest(new)
            paths = [path_of(old) for old, _ in execution.graph.updates]
            return Result(tuple(map(np.array, outputs)), {path: np.array(flat[path]) for path in paths})

    def gradients(self, execution: Execution, cotangents: Sequence[Array | None]) -> Gradients:
        with self.precision(execution):
            params, state, inputs = self.arguments(execution)
            floats = {i: x for i, x in enumerate(inputs) if is_differentiable(np.dtype(x.dtype))}
            differentiate = self._differentiated(execution)
            of_params, of_inputs = differentiate(params, floats, state, inputs, execution.options(), list(cotangents))
            return Gradients(
                {path: np.conj(gradient) for path, gradient in unnest(of_params).items()},
                tuple(np.conj(of_inputs[i]) if i in floats else None for i in range(len(inputs))),
            )

    def session(self, execution: Execution) -> Session:
        return JAXSession(self, execution)

    def applied(self, execution: Execution) -> Callable[..., Any]:
        """The compiled program of one mode: the outputs as a tuple, and the states after."""
        apply, training, stateful = execution.module.apply, execution.training, execution.returns_states

        def applied(params: Any, state: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
            result = apply(params, state, *inputs, training=training, **options)
            outputs, new = result if stateful else (result, state)
            return listed(outputs), new

        return self._once((apply, training), applied)

    def _differentiated(self, execution: Execution) -> Callable[..., Any]:
        """The compiled gradients of one mode: by the params, and by the inputs that are floats."""
        applied, zero = self.applied(execution), self.jax.numpy.zeros

        def total(params: Any, floats: Any, state: Any, inputs: Any, options: Any, cotangents: Any) -> Any:
            given = [floats.get(i, x) for i, x in enumerate(inputs)]
            outputs, _ = applied(params, state, given, options)
            pairs = [(y, c) for y, c in zip(outputs, cotangents, strict=True) if c is not None]
            return sum(((y * c.conj()).real.sum() for y, c in pairs), zero(()))

        return self._once((applied, "gradients"), self.jax.grad(total, (0, 1)))

    def _once(self, key: object, function: Callable[..., Any]) -> Callable[..., Any]:
        """The compiled function; the one that was compiled before for the same key."""
        if key not in self._compiled:
            self._compiled[key] = self.jax.jit(function)
        return self._compiled[key]

    def arguments(self, execution: Execution) -> tuple[Any, Any, list[Any]]:
        asarray = self.jax.numpy.asarray
        params, state = (
            nest({path: asarray(w) for path, w in part.items()}) for part in (execution.params(), execution.states())
        )
        return params, state, [asarray(x) for x in execution.inputs]

    def precision(self, execution: Execution) -> AbstractContextManager[Any]:
        arrays = [*execution.weights.values(), *execution.inputs]
        wide = any(x.dtype in (np.float64, np.complex128) for x in arrays)
        return self.jax.enable_x64(True) if wide else nullcontext()


class JAXSession(Session):
    """The states stay on the device; those of the step before are given up."""

    runner: JAXRunner

    def __init__(self, runner: JAXRunner, execution: Execution) -> None:
        super().__init__(runner, execution)
        with runner.precision(execution):
            self.params, self.state, _ = runner.arguments(execution)
        self.step = runner.jax.jit(runner.applied(execution), donate_argnums=1)

    def run(self, inputs: Sequence[Array], key: tuple[int, int]) -> tuple[Array, ...]:
        options = replace(self.execution, key=key).options()
        with self.runner.precision(self.execution):
            given = [self.runner.jax.numpy.asarray(x) for x in inputs]
            outputs, self.state = self.step(self.params, self.state, given, options)
            return tuple(map(np.array, outputs))

    def states(self) -> dict[str, Array]:
        held = unnest(self.params) | unnest(self.state)
        # Integers of 64 bits have 32 of them in JAX, unless the run is in float64.
        return {path: np.array(held[path], first.dtype) for path, first in self.weights.items()}

    def assign(self, weights: Mapping[str, Array]) -> None:
        with self.runner.precision(self.execution):
            changed: dict[str, Any] = {path: self.runner.jax.numpy.asarray(w) for path, w in weights.items()}
        params, state = (unnest(part) for part in (self.params, self.state))
        self.params = nest({path: changed.get(path, w) for path, w in params.items()})
        self.state = nest({path: changed.get(path, w) for path, w in state.items()})
