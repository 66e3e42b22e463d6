"""How far two arrays are apart, and how far they may be."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.nested import innermost_first
from architrave.ir.storage import numpy_dtype
from architrave.ir.types import DType, TensorType

FORWARD = {"float64": 1e-10, "float32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}
"""How much of an output's scale two backends may differ by."""
BACKWARD = {"float64": 1e-10, "float32": 1e-4, "float16": 5e-2, "bfloat16": 2e-1}
"""The same for gradients."""


class Difference(NamedTuple):
    """The largest difference, by itself and over the scale of what was expected; or why there is none."""

    absolute: float
    relative: float
    problem: str | None = None


def difference(actual: Array, expected: Array, floor: float = 0.0) -> Difference:
    """Compare numbers. `floor` is the least scale that counts: what is smaller than it is noise."""
    if actual.shape != expected.shape:
        return _none(f"the shapes are {list(actual.shape)} and {list(expected.shape)}")
    expected = _held(expected, actual.dtype)
    if expected.dtype.kind in "biu":
        wrong = int(np.count_nonzero(actual != expected))
        return _none(f"{wrong} of {expected.size} differ") if wrong else Difference(0.0, 0.0)
    a, b = _wide(actual), _wide(expected)
    if not a.size:
        return Difference(0.0, 0.0)
    finite = np.isfinite(b)
    with np.errstate(invalid="ignore"):
        special = ~finite & ~((a == b) | (np.isnan(a) & np.isnan(b)))
    wrong = int(np.count_nonzero(special | (finite & ~np.isfinite(a))))
    if wrong:
        return _none(f"{wrong} of {b.size} are infinite or not a number in one of them")
    a, b = a[finite], b[finite]
    absolute = float(np.max(np.abs(a - b), initial=0.0))
    scale = max(float(np.max(np.abs(b), initial=0.0)), floor)
    return Difference(absolute, absolute / scale if scale else absolute)


def dtype_problem(actual: Array, type: TensorType, chosen: Any) -> str | None:
    """What is wrong with the dtype of a result. Integers may have any width: JAX has 32 bits unless told otherwise."""
    wanted = numpy_dtype(type.dtype, chosen)
    if actual.dtype == wanted or (type.dtype.is_integer and actual.dtype.kind in "iu"):
        return None
    return f"the dtype is {actual.dtype}, not {wanted}"


def working_dtype(graph: Graph, chosen: str) -> str:
    """The coarsest dtype that a graph computes in, where the run chooses `chosen`: what bounds the agreement."""
    named = {DType.F32: "float32", DType.F16: "float16", DType.BF16: "bfloat16"}
    computed = {v.dtype for inner in innermost_first(graph) for n in inner.nodes if n.operands for v in n.outputs}
    narrow = [named[dtype] for dtype in computed if dtype in named]
    return max([chosen, *narrow], key=FORWARD.__getitem__)


def _wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _held(expected: Array, dtype: np.dtype[Any]) -> Array:
    """What is expected as a narrower dtype can hold it: floats become infinite, integers go no further than it does."""
    if dtype.kind in "iu" and expected.dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return np.asarray(expected.clip(bounds.min, bounds.max))
    if dtype.name not in ("float32", "float16") or expected.dtype.name != "float64":
        return expected
    return np.where(np.abs(expected) > np.finfo(dtype).max, np.copysign(np.inf, expected), expected)


def _none(problem: str) -> Difference:
    return Difference(float("inf"), float("inf"), problem)
