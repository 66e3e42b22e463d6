"""The NumPy dtypes in which arrays are stored and exchanged, bfloat16 included.

Importing this module imports NumPy: it is for what runs networks, not for what builds them.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from architrave.ir.arrays import known
from architrave.ir.ops.leaves import Constant
from architrave.ir.types import DType, TensorType

_NUMPY: dict[DType, np.dtype[Any]] = {
    DType.BOOL: np.dtype(np.bool_),
    DType.U8: np.dtype(np.uint8),
    DType.I8: np.dtype(np.int8),
    DType.I16: np.dtype(np.int16),
    DType.U32: np.dtype(np.uint32),
    DType.I32: np.dtype(np.int32),
    DType.I64: np.dtype(np.int64),
    DType.BF16: np.dtype(ml_dtypes.bfloat16),
    DType.F16: np.dtype(np.float16),
    DType.F32: np.dtype(np.float32),
    DType.F64: np.dtype(np.float64),
    DType.C64: np.dtype(np.complex64),
    DType.C128: np.dtype(np.complex128),
}
_OURS = {dtype: ours for ours, dtype in _NUMPY.items()}


def numpy_dtype(dtype: DType, chosen: Any = np.float64) -> np.dtype[Any]:
    """The NumPy dtype of an element type; `chosen` is what the run takes for `DType.FLOAT`."""
    if dtype is DType.COMPLEX:
        return np.dtype(np.complex128 if np.dtype(chosen) == np.float64 else np.complex64)
    return np.dtype(chosen) if dtype is DType.FLOAT else _NUMPY[dtype]


def our_dtype(dtype: np.dtype[Any]) -> DType | None:
    """The element type that a NumPy dtype stands for; None for what the language lacks."""
    return _OURS.get(dtype.newbyteorder("="))


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether a NumPy dtype is one of our floats."""
    ours = our_dtype(dtype)
    return ours is not None and ours.is_float


def is_differentiable(dtype: np.dtype[Any]) -> bool:
    """Whether a NumPy dtype is one of our floats or complex numbers."""
    ours = our_dtype(dtype)
    return ours is not None and (ours.is_float or ours.is_complex)


def constant_array(constant: Constant) -> np.ndarray[Any, Any]:
    """The array that a constant holds."""
    stored = numpy_dtype(constant.type.dtype).newbyteorder("<")
    return np.frombuffer(constant.data, stored).reshape(tuple(map(known, constant.type.shape)))


def constant_of(values: object, dtype: DType, shape: tuple[int, ...]) -> Constant:
    """A constant from nested lists of numbers."""
    stored = np.asarray(values, numpy_dtype(dtype).newbyteorder("<")).reshape(shape)
    if dtype.is_float:
        # There is one NaN in text. What `inf - inf` gives has a sign on some machines.
        stored = np.where(np.isnan(stored), np.array(np.nan, stored.dtype), stored)
    return Constant(TensorType(dtype, shape), stored.tobytes())
