"""Running NumPy programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from architrave.backends.runner import Execution, Runner, listed
from architrave.ir.arrays import Array
from architrave.ir.graph import Value
from architrave.ir.interpret import Result
from architrave.ir.ops.leaves import path_of
from architrave.ir.storage import numpy_dtype
from architrave.ir.types import DType
from architrave.weights import nest, unnest

BF16 = numpy_dtype(DType.BF16)


class NumPyRunner(Runner):
    """Programs are functions of nested dicts of arrays.

    NumPy has no bfloat16 of its own: beside a number, an array of that dtype from `ml_dtypes` becomes float32. So a
    run in bfloat16 computes in float32, and its results are rounded.
    """

    differentiates = False

    def run(self, execution: Execution) -> Result:
        graph, weights = execution.graph, execution.weights
        leaves = [(v, weights[path_of(v)]) for v in graph.weights]
        leaves += zip(graph.inputs, execution.inputs, strict=True)
        if not any(value.dtype is DType.FLOAT and array.dtype == BF16 for value, array in leaves):
            return self._run(execution)
        wide = _cast([array for _, array in leaves], [value for value, _ in leaves], np.dtype(np.float32))
        paths = map(path_of, graph.weights)
        given = dict(zip(paths, wide, strict=False))
        result = self._run(replace(execution, weights=given, inputs=wide[len(graph.weights) :]))
        new = _cast(list(result.updates.values()), [old for old, _ in graph.updates], BF16)
        return Result(tuple(_cast(result.outputs, graph.outputs, BF16)), dict(zip(result.updates, new, strict=True)))

    def _run(self, execution: Execution) -> Result:
        params, state = nest(execution.params()), nest(execution.states())
        result = execution.module.apply(
            params, state, *execution.inputs, training=execution.training, **execution.options()
        )
        outputs, new = result if execution.returns_states else (result, state)
        flat = unnest(new)
        paths = [path_of(old) for old, _ in execution.graph.updates]
        return Result(tuple(map(np.asarray, listed(outputs))), {path: np.asarray(flat[path]) for path in paths})


def _cast(arrays: Sequence[Array], values: Sequence[Value], dtype: np.dtype[np.generic]) -> list[Array]:
    """The arrays of values whose dtype the run chooses in another one, the others as they are."""
    return [
        array.astype(dtype) if value.dtype is DType.FLOAT else array
        for array, value in zip(arrays, values, strict=True)
    ]
