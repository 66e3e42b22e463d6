"""Rules for linear algebra: functions of the same names in both preludes."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.backends.functional.dtypes import as_float, astype
from architrave.ir.types import DType

OF_ONE_MATRIX = {
    "cholesky": "cholesky",
    "slogdet": "log_determinant",
    "qr": "signed_qr",
    "svd": "signed_svd",
    "eigh": "signed_eigh",
    "inverse": "inverse",
    "matrix_exp": "matrix_exponential",
}
"""Functions of the preludes, which give what the frameworks' own give, but for signs and failures."""


def add_linalg(rules: Rules) -> None:
    """Add the rules that call functions of the preludes."""

    @rules.rule(*OF_ONE_MATRIX)
    def _of_one_matrix(at: Call) -> Code:
        return call(at.use(OF_ONE_MATRIX[at.op.name]), as_float(at))

    @rules.rule("solve")
    def _solve(at: Call) -> Code:
        return call(at.use("solve_linear"), *_both(at))

    @rules.rule("triangular_solve")
    def _triangular_solve(at: Call) -> Code:
        return call(at.use("solve_triangular"), *_both(at), **triangle(at))

    @rules.rule("pinv")
    def _pinv(at: Call) -> Code:
        return call(at.use("pseudo_inverse"), as_float(at), literal(at.op.rtol))


def triangle(at: Call) -> dict[str, Code]:
    """The keyword arguments of a triangular system that are not their defaults."""
    plain = {"lower": True, "transposed": False, "unit": False}
    return {name: literal(not value) for name, value in plain.items() if getattr(at.op, name) is not value}


def _both(at: Call) -> list[Code]:
    """The operands in the dtype of the result."""
    dtype: DType = at.results[0].dtype
    return [x if t.dtype is dtype else astype(at, x, dtype) for x, t in zip(at.args, at.types, strict=True)]
