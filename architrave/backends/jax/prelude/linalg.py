"""Linear algebra on stacks of matrices [..., M, N]: NaN where a matrix has no answer, and signs that are fixed."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import jax
import jax.numpy as jnp


def wide(x: jax.Array) -> jax.Array:
    """x in a precision that LAPACK has: float32 for half precision."""
    return x if x.dtype.itemsize > 2 else x.astype(jnp.float32)


def cholesky(a: jax.Array) -> jax.Array:
    """The lower triangle l with `l @ l' = (a + a') / 2`; NaN in its place where that is not positive definite."""
    return jnp.tril(finite_or_nan(jnp.linalg.cholesky(wide(a)))).astype(a.dtype)


def solve_linear(a: jax.Array, b: jax.Array) -> jax.Array:
    """The x with `a @ x = b`; one that is not finite is NaN throughout."""
    return finite_or_nan(jnp.linalg.solve(wide(a), wide(b))).astype(a.dtype)


def solve_triangular(
    a: jax.Array, b: jax.Array, lower: bool = True, transposed: bool = False, unit: bool = False
) -> jax.Array:
    """The x with `a @ x = b`, or `a' @ x = b`, of a triangle of a; `unit` takes its diagonal for ones."""
    lead = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = jax.lax.linalg.triangular_solve(
        jnp.broadcast_to(wide(a), (*lead, *a.shape[-2:])),
        jnp.broadcast_to(wide(b), (*lead, *b.shape[-2:])),
        left_side=True,
        lower=lower,
        transpose_a=transposed,
        unit_diagonal=unit,
    )
    return finite_or_nan(x).astype(a.dtype)


def finite_or_nan(x: jax.Array) -> jax.Array:
    """Matrices that are finite; NaN in the place of others, so that their gradients are NaN, too."""
    return x * one_or_nan(x)


def one_or_nan(x: jax.Array) -> jax.Array:
    """1 for each matrix that is finite, and NaN for each that is not."""
    return jnp.where(jnp.isfinite(x).all(axis=(-2, -1), keepdims=True), 1, jnp.nan).astype(x.dtype)


def log_determinant(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The sign of the determinant, and the logarithm of its size."""
    sign, size = jnp.linalg.slogdet(wide(a))
    return sign.astype(a.dtype), size.astype(a.dtype)


def inverse(a: jax.Array) -> jax.Array:
    """The inverse of each matrix; NaN throughout where there is none."""
    return solve_linear(a, jnp.eye(a.shape[-1], dtype=a.dtype))


def signed_qr(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`a = q @ r`, reduced; the diagonal of r is not negative."""
    rows = a.shape[-2]
    q, r = jnp.linalg.qr(wide(a[..., :rows]))
    if rows < a.shape[-1]:
        # JAX has no gradient for a matrix that is wider than tall: its first columns make q.
        r = jnp.concatenate([r, q.swapaxes(-1, -2) @ wide(a[..., rows:])], axis=-1)
    sign = jnp.where(jnp.diagonal(r, 0, -2, -1) < 0, -1, 1)
    return (q * sign[..., None, :]).astype(a.dtype), (r * sign[..., :, None]).astype(a.dtype)


def signed_svd(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """`a = u * s @ vt`, reduced; the leading entries of the columns of u are positive."""
    u, s, vt = jnp.linalg.svd(wide(a), full_matrices=False)
    sign, known = orientation(u), one_or_nan(a)
    return (
        (u * sign).astype(a.dtype) * known,
        s.astype(a.dtype) * known[..., 0],
        (vt * sign.swapaxes(-1, -2)).astype(a.dtype) * known,
    )


def signed_eigh(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`(a + a') / 2 = v * w @ v'`; w ascends, and the leading entries of the columns of v are positive."""
    w, v = jnp.linalg.eigh(wide(a))
    known = one_or_nan(a)
    return w.astype(a.dtype) * known[..., 0], (v * orientation(v)).astype(a.dtype) * known


def orientation(v: jax.Array) -> jax.Array:
    """1 or -1 for each column, which makes its leading entry positive: the first of size 0.9 of the largest or more."""
    if v.size == 0:
        return jnp.ones((*v.shape[:-2], 1, v.shape[-1]), v.dtype)
    size = jnp.abs(v)
    leading = (size >= 0.9 * size.max(axis=-2, keepdims=True)).argmax(axis=-2, keepdims=True)
    return jnp.where(jnp.take_along_axis(v, leading, axis=-2) < 0, -1, 1)


def pseudo_inverse(a: jax.Array, rtol: float) -> jax.Array:
    """The pseudo-inverse; singular values up to rtol times the largest count as 0."""
    return jnp.linalg.pinv(wide(a), rtol=rtol).astype(a.dtype)


def matrix_exponential(a: jax.Array) -> jax.Array:
    """e to the power of each matrix, by scaling and squaring: `jax.scipy.linalg.expm` is exact to 1e-8 alone.

    N. J. Higham, "The Scaling and Squaring Method for the Matrix Exponential Revisited" (2005).
    """
    norm = jnp.abs(wide(a)).sum(axis=-2, keepdims=True).max(axis=-1, keepdims=True, initial=0)
    halvings = jax.lax.stop_gradient(jnp.clip(jnp.ceil(jnp.log2(norm / 5.371920351148152)), 0, 16))
    x = _pade(wide(a) * 2**-halvings)
    for done in range(16):
        more = halvings > done
        base = jnp.where(more, x, 0)  # so that what is not needed overflows nowhere
        x = jnp.where(more, base @ base, x)
    return x.astype(a.dtype)


def _pade(a: jax.Array) -> jax.Array:
    """The exponential of small matrices, by polynomials of the odd and of the even powers."""
    one, two = jnp.eye(a.shape[-1], dtype=a.dtype), a @ a
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
