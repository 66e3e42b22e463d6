"""The first values of weights: the same seed gives the same bits everywhere.

A weight's values come from its own stream of random bits, keyed by the seed and its path, so that they do not
depend on which other weights there are. All arithmetic is in float64, in operations that are rounded exactly
(see `ir/draws.py`). The float64 result is rounded to the weight's dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from architrave.ir.draws import DRAWS
from architrave.ir.graph import Graph
from architrave.ir.initial import draw
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import Initial, Param, State
from architrave.ir.storage import numpy_dtype


def init(graph: Graph, seed: int = 0, dtype: Any = np.float32) -> dict[str, np.ndarray[Any, Any]]:
    """The first value of every weight of a graph, by path; `dtype` is the chosen precision."""
    return {
        weight.op.path: initial_value(weight.op, seed, numpy_dtype(weight.dtype, dtype))
        for weight in graph.weights
        if isinstance(weight.op, Param | State)
    }


def initial_value(weight: Param | State, seed: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """The first value of one weight."""
    shape = tuple(size for size in weight.type.shape if isinstance(size, int))
    match weight.initial:
        case Graph() as graph:
            return interpret(graph, key=(seed, 0)).outputs[0].astype(dtype)
        case Initial() as start:
            kind, numbers = draw(start, shape)
            return DRAWS[kind](seed, weight.path, shape, dtype, *numbers)
