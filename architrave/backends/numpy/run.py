"""Running NumPy programs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from architrave.backends.runner import Execution, Gradients, Runner, listed
from architrave.ir.arrays import Array
from architrave.ir.interpret import Result
from architrave.ir.source import error
from architrave.weights import nest, unnest, weight_path


class NumPyRunner(Runner):
    """Programs are functions of nested dicts of arrays."""

    differentiates = False

    def run(self, execution: Execution) -> Result:
        params, state = nest(execution.params()), nest(execution.states())
        result = execution.module.apply(
            params, state, *execution.inputs, training=execution.training, **execution.options()
        )
        outputs, new = result if execution.training else (result, state)
        flat = unnest(new)
        paths = [weight_path(old) for old, _ in execution.graph.updates]
        return Result(tuple(map(np.asarray, listed(outputs))), {path: np.asarray(flat[path]) for path in paths})

    def gradients(self, execution: Execution, cotangents: Sequence[Array | None]) -> Gradients:
        raise error("E523", "NumPy programs compute no gradients", hint="use the torch or the jax backend")
