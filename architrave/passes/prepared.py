"""New weights from old ones: running what passes left for that. Transforming alone needs no NumPy, this does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.interpret import interpret
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error, printable
from architrave.ir.storage import is_float, numpy_dtype
from architrave.ir.types import shape_text

if TYPE_CHECKING:
    from architrave.passes.pipeline import Transformed


def prepared(transformed: Transformed, old: Mapping[str, Any], dtype: Any = None) -> dict[str, Array]:
    """See `Transformed.weights`."""
    current = {path: np.asarray(value) for path, value in old.items()}
    _refuse_nan(current, "a network with such weights computes nothing: did its training diverge?")
    held = (w.dtype for w in current.values() if is_float(w.dtype))
    chosen = dtype or next(held, np.dtype(np.float32))
    for prepare in transformed.prepares:
        values = interpret(prepare.graph, (), current).outputs
        current = dict(zip(prepare.paths, values, strict=True))
    new: dict[str, Array] = {}
    for weight in transformed.graph.weights:
        path = path_of(weight)
        if path not in current:
            raise error("E512", f"the weight `{path}` is missing", weight.node.span)
        if current[path].shape != weight.shape:
            shown = shape_text(current[path].shape)
            what = f"the weight `{path}` is {weight.type}, but the array has the shape {shown}"
            raise error("E513", what, weight.node.span)
        new[path] = current[path].astype(numpy_dtype(weight.dtype, chosen), copy=False)
    _refuse_nan(new, "it is computed from numbers that are none of them NaN: is one a variance below zero?")
    return new


def _refuse_nan(weights: Mapping[str, Array], hint: str) -> None:
    wrong = [path for path, w in weights.items() if is_float(w.dtype) and np.isnan(w.astype(np.float64)).any()]
    if not wrong:
        return
    holds = "holds" if len(wrong) == 1 else f"and {len(wrong) - 1} more hold"
    raise error("E807", f"`{printable(wrong[0])}` {holds} what is not a number (NaN)", hint=hint)
