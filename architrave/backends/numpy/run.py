"""Running NumPy programs."""

from __future__ import annotations

import numpy as np

from architrave.backends.runner import Execution, Runner, listed
from architrave.ir.interpret import Result
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
