"""Linear algebra on stacks of matrices [..., M, N]: NaN where a matrix has no answer, and signs that are fixed."""

from __future__ import annotations

import numpy as np


def wide(x: np.ndarray) -> np.ndarray:
    """x in a precision that LAPACK has: float32 for half precision."""
    return x if x.dtype.itemsize > 2 else x.astype(np.float32)


def cholesky(a: np.ndarray) -> np.ndarray:
    """The lower triangle l with `l @ l' = (a + a') / 2`; NaN in its place where that is not positive definite."""
    mean = wide(a + a.swapaxes(-1, -2)) / 2
    try:
        lower = np.linalg.cholesky(mean)
    except np.linalg.LinAlgError:
        stack = mean.reshape(-1, *mean.shape[-2:])
        lower = np.stack([_cholesky(matrix) for matrix in stack]).reshape(mean.shape)
    return np.tril(finite_or_nan(lower)).astype(a.dtype, copy=False)


def _cholesky(a: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        return np.full_like(a, np.nan)


def solve_linear(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The x with `a @ x = b`; one that is not finite is NaN throughout."""
    try:
        x = np.linalg.solve(wide(a), wide(b))
    except np.linalg.LinAlgError:
        singular = np.linalg.slogdet(wide(a))[0] == 0
        x = np.linalg.solve(np.where(singular[..., None, None], np.nan, wide(a)), wide(b))
    return finite_or_nan(x).astype(a.dtype, copy=False)


def finite_or_nan(x: np.ndarray) -> np.ndarray:
    """Matrices that are finite; NaN in the place of others."""
    return np.where(np.isfinite(x).all(axis=(-2, -1), keepdims=True), x, np.nan)


def solve_triangular(
    a: np.ndarray, b: np.ndarray, lower: bool = True, transposed: bool = False, unit: bool = False
) -> np.ndarray:
    """The x with `a @ x = b`, or `a' @ x = b`, of a triangle of a; `unit` takes its diagonal for ones."""
    a = np.tril(a) if lower else np.triu(a)
    if unit:
        a = np.where(np.eye(a.shape[-1], dtype=bool), 1, a)
    return solve_linear(a.swapaxes(-1, -2) if transposed else a, b)


def log_determinant(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sign of the determinant, and the logarithm of its size."""
    sign, size = np.linalg.slogdet(wide(a))
    sign = np.where(np.isnan(size), np.nan, sign)
    return sign.astype(a.dtype, copy=False), size.astype(a.dtype, copy=False)


def inverse(a: np.ndarray) -> np.ndarray:
    """The inverse of each matrix; NaN throughout where there is none."""
    return solve_linear(a, np.eye(a.shape[-1], dtype=a.dtype))


def signed_qr(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`a = q @ r`, reduced; the diagonal of r is not negative."""
    q, r = np.linalg.qr(wide(a))
    sign = np.where(np.diagonal(r, 0, -2, -1) < 0, -1, 1)
    return (q * sign[..., None, :]).astype(a.dtype, copy=False), (r * sign[..., :, None]).astype(a.dtype, copy=False)


def signed_svd(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`a = u * s @ vt`, reduced; the leading entries of the columns of u are positive."""
    finite = np.isfinite(a).all(axis=(-2, -1), keepdims=True)
    u, s, vt = np.linalg.svd(wide(np.where(finite, a, 0)), full_matrices=False)
    sign, known = orientation(u), np.where(finite, 1, np.nan).astype(a.dtype)
    return (
        (u * sign).astype(a.dtype, copy=False) * known,
        s.astype(a.dtype, copy=False) * known[..., 0],
        (vt * sign.swapaxes(-1, -2)).astype(a.dtype, copy=False) * known,
    )


def signed_eigh(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(a + a') / 2 = v * w @ v'`; w ascends, and the leading entries of the columns of v are positive."""
    finite = np.isfinite(a).all(axis=(-2, -1), keepdims=True)
    w, v = np.linalg.eigh(wide(np.where(finite, (a + a.swapaxes(-1, -2)) / 2, 0)))
    known = np.where(finite, 1, np.nan).astype(a.dtype)
    return w.astype(a.dtype, copy=False) * known[..., 0], (v * orientation(v)).astype(a.dtype, copy=False) * known


def orientation(v: np.ndarray) -> np.ndarray:
    """1 or -1 for each column, which makes its leading entry positive: the first of size 0.9 of the largest or more."""
    if v.size == 0:
        return np.ones((*v.shape[:-2], 1, v.shape[-1]), v.dtype)
    size = np.abs(v)
    leading = (size >= 0.9 * size.max(axis=-2, keepdims=True)).argmax(axis=-2, keepdims=True)
    return np.where(np.take_along_axis(v, leading, axis=-2) < 0, -1, 1)


def pseudo_inverse(a: np.ndarray, rtol: float) -> np.ndarray:
    """The pseudo-inverse; singular values up to rtol times the largest count as 0."""
    return np.linalg.pinv(wide(a), rcond=rtol).astype(a.dtype, copy=False)


def matrix_exponential(a: np.ndarray) -> np.ndarray:
    """e to the power of each matrix, by scaling and squaring.

    N. J. Higham, "The Scaling and Squaring Method for the Matrix Exponential Revisited" (2005).
    """
    norm = np.abs(wide(a)).sum(axis=-2, keepdims=True).max(axis=-1, keepdims=True, initial=0)
    halvings = np.clip(np.ceil(np.log2(norm / 5.371920351148152)), 0, 16)
    x = _pade(wide(a) * 2**-halvings)
    for done in range(int(halvings.max(initial=0, where=halvings >= 0))):
        x = np.where(halvings > done, x @ x, x)
    return x.astype(a.dtype, copy=False)


def _pade(a: np.ndarray) -> np.ndarray:
    """The exponential of small matrices, by polynomials of the odd and of the even powers."""
    one, two = np.eye(a.shape[-1], dtype=a.dtype), a @ a
    four = two @ two
    six = two @ four
    c = _PADE
    u = six @ (c[13] * six + c[11] * four + c[9] * two) + c[7] * six + c[5] * four + c[3] * two + c[1] * one
    v = six @ (c[12] * six + c[10] * four + c[8] * two) + c[6] * six + c[4] * four + c[2] * two + c[0] * one
    u = a @ u
    return solve_linear(v - u, v + u)


_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
