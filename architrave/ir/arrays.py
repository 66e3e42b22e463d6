"""NumPy for the references of operators, and how NumPy holds values of each dtype.

`np` here is NumPy, imported when it is first used: compiling needs none of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, TypeAlias

from architrave.ir.dims import Size
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    import numpy as np
else:

    class _Deferred:
        """A module that is imported on its first use."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            found = getattr(importlib.import_module(self._name), attribute)
            setattr(self, attribute, found)
            return found

    np = _Deferred("numpy")

__all__ = ["Array", "draw", "dtype_of", "held", "known", "np"]

Array: TypeAlias = "np.ndarray[Any, Any]"

_HELD = {
    DType.BOOL: "bool",
    DType.U8: "uint8",
    DType.I8: "int8",
    DType.I16: "int16",
    DType.U32: "uint32",
    DType.I32: "int32",
    DType.I64: "int64",
    DType.C64: "complex128",
    DType.COMPLEX: "complex128",
    DType.C128: "complex128",
}


def held(dtype: DType) -> np.dtype[Any]:
    """The NumPy dtype in which references hold `dtype`: every float is a float64."""
    return np.dtype(_HELD.get(dtype, "float64"))


def known(size: Size) -> int:
    """A size that is bound, as all are when a reference runs."""
    if not isinstance(size, int):
        raise TypeError(f"the size {size} is not bound")
    return size


def dtype_of(x: Array) -> DType:
    """The dtype that an array stands for: float64 and complex128 are FLOAT and COMPLEX."""
    if x.dtype.kind == "c":
        return DType.COMPLEX
    return next((d for d, name in _HELD.items() if name == x.dtype.name), DType.FLOAT)


def draw(type: TensorType, rng: np.random.Generator, high: int = 4) -> Array:
    """Random values that `type` can hold: floats are normal, integers lie in `[0, high)`, booleans are even chances."""
    shape = tuple(map(known, type.shape))
    if type.dtype.is_complex:
        from architrave.ir.storage import numpy_dtype

        drawn = np.asarray(rng.standard_normal(shape) + 1j * rng.standard_normal(shape))
        return drawn.astype(numpy_dtype(type.dtype)).astype(np.complex128)
    if type.dtype.is_float:
        from architrave.ir.storage import numpy_dtype

        return np.asarray(rng.standard_normal(shape)).astype(numpy_dtype(type.dtype)).astype(np.float64)
    return rng.integers(0, 2 if type.dtype.is_bool else high, shape).astype(held(type.dtype))
