"""Running JAX programs on NumPy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from architrave.backends.runner import Execution, Gradients, Runner, listed
from architrave.ir.arrays import Array
from architrave.ir.interpret import Result
from architrave.ir.storage import is_float
from architrave.weights import nest, unnest, weight_path


class JAXRunner(Runner):
    """Programs are pure functions of nested dicts. Numbers of 64 bits are let in where the run is in float64."""

    def __init__(self) -> None:
        import jax

        self.jax: Any = jax

    def run(self, execution: Execution) -> Result:
        with self._precision(execution):
            params, state, inputs = self._arguments(execution)
            outputs, new = self._apply(execution, params, state, inputs)
            flat = unnest(new)
            paths = [weight_path(old) for old, _ in execution.graph.updates]
            return Result(tuple(map(np.array, outputs)), {path: np.array(flat[path]) for path in paths})

    def gradients(self, execution: Execution, cotangents: Sequence[Array | None]) -> Gradients:
        with self._precision(execution):
            params, state, inputs = self._arguments(execution)
            floats = {i: x for i, x in enumerate(inputs) if is_float(np.dtype(x.dtype))}

            def total(params: Any, floats: dict[int, Any]) -> Any:
                given = [floats.get(i, x) for i, x in enumerate(inputs)]
                outputs, _ = self._apply(execution, params, state, given)
                pairs = zip(outputs, cotangents, strict=True)
                return sum(((y * c).sum() for y, c in pairs if c is not None), self.jax.numpy.zeros(()))

            of_params, of_inputs = self.jax.grad(total, (0, 1))(params, floats)
            return Gradients(
                {path: np.array(gradient) for path, gradient in unnest(of_params).items()},
                tuple(np.array(of_inputs[i]) if i in floats else None for i in range(len(inputs))),
            )

    def _apply(self, execution: Execution, params: Any, state: Any, inputs: Sequence[Any]) -> tuple[Any, Any]:
        """The outputs as a tuple, and the states after."""
        result = execution.module.apply(params, state, *inputs, training=execution.training, **execution.options())
        outputs, new = result if execution.training else (result, state)
        return listed(outputs), new

    def _arguments(self, execution: Execution) -> tuple[Any, Any, list[Any]]:
        asarray = self.jax.numpy.asarray
        params, state = (
            nest({path: asarray(w) for path, w in part.items()}) for part in (execution.params(), execution.states())
        )
        return params, state, [asarray(x) for x in execution.inputs]

    def _precision(self, execution: Execution) -> AbstractContextManager[Any]:
        arrays = [*execution.weights.values(), *execution.inputs]
        wide = any(x.dtype in (np.float64, np.complex128) for x in arrays)
        return self.jax.enable_x64(True) if wide else nullcontext()
