"""How NumPy writes dtypes."""

from __future__ import annotations

from architrave.ir.types import DType

DTYPES = {
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
