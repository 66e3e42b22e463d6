"""How operands reach the dtype that an operator computes in, in NumPy and in jax.numpy.

Both frameworks promote as the IR does between integers and truth values. An integer beside a float is not so:
NumPy makes a float64 of it, where the IR means the float's own precision.
"""

from __future__ import annotations

from architrave.backends.base import Call
from architrave.backends.code import Code, call, method
from architrave.ir.types import DType, promote

NUMPY_DTYPES = {
    DType.BOOL: "np.bool_",
    DType.U8: "np.uint8",
    DType.I8: "np.int8",
    DType.I16: "np.int16",
    DType.U32: "np.uint32",
    DType.I32: "np.int32",
    DType.I64: "np.int64",
    DType.BF16: "ml_dtypes.bfloat16",
    DType.F16: "np.float16",
    DType.F32: "np.float32",
    DType.F64: "np.float64",
    DType.C64: "np.complex64",
    DType.C128: "np.complex128",
}
"""How NumPy writes dtypes; JAX programs, too, draw their weights with NumPy."""


def astype(at: Call, x: Code, dtype: DType) -> Code:
    """`x.astype(dtype)`."""
    return method(x, "astype", at.dtype(dtype))


def as_float(at: Call, position: int = 0) -> Code:
    """An operand as a float: integers and truth values in the precision of the run."""
    x, dtype = at.args[position], at.types[position].dtype
    return x if dtype.is_float or dtype.is_complex or x.number is not None else astype(at, x, DType.FLOAT)


def promoted(at: Call, np: str, dtype: DType | None = None) -> tuple[Code, ...]:
    """The operands, cast where the module `np` would not promote them as the IR does, or to `dtype` at least.

    Numbers stay literals, which take the dtype of the tensor beside them; of numbers alone a tensor is made.
    """
    common = dtype
    for operand in at.types:
        common = operand.dtype if common is None else promote(common, operand.dtype)
    assert common is not None
    args = tuple(_promoted(at, x, t.dtype, common, np) for x, t in zip(at.args, at.types, strict=True))
    if any(x.number is None for x in args):
        return args
    return call(f"{np}.asarray", args[0], at.dtype(common)), *args[1:]


def _promoted(at: Call, x: Code, dtype: DType, common: DType, np: str) -> Code:
    if x.number is not None and common is DType.BF16 and np == "np":
        return call(at.dtype(common), x)  # NumPy makes float32 of its own floats and those of `ml_dtypes`
    if x.number is not None or dtype is common or dtype.is_bool:
        return x
    if (dtype.is_integer and common.is_integer) or (dtype.is_float and common.is_complex):
        return x
    return astype(at, x, common)
