"""Linear algebra, by functions of the prelude."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.backends.torch.rules.typed import as_float, promoted

linalg = Rules()

_OF_ONE_MATRIX = {
    "cholesky": "cholesky",
    "slogdet": "log_determinant",
    "qr": "signed_qr",
    "svd": "signed_svd",
    "eigh": "signed_eigh",
    "inverse": "inverse",
    "matrix_exp": "matrix_exponential",
}


@linalg.rule(*_OF_ONE_MATRIX)
def _of_one_matrix(at: Call) -> Code:
    return call(at.use(_OF_ONE_MATRIX[at.op.name]), as_float(at))


@linalg.rule("solve")
def _solve(at: Call) -> Code:
    return call(at.use("solve_linear"), *promoted(at, at.results[0].dtype))


@linalg.rule("triangular_solve")
def _triangular_solve(at: Call) -> Code:
    plain = {"lower": True, "transposed": False, "unit": False}
    options = {name: literal(not value) for name, value in plain.items() if getattr(at.op, name) is not value}
    return call(at.use("solve_triangular"), *promoted(at, at.results[0].dtype), **options)


@linalg.rule("pinv")
def _pinv(at: Call) -> Code:
    return call(at.use("pseudo_inverse"), as_float(at), literal(at.op.rtol))
