"""Linear algebra on stacks of matrices [..., M, N]: NaN where a matrix has no answer, and signs that are fixed."""

# torch.linalg is not typed.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

import math

import torch


def wide(x: torch.Tensor) -> torch.Tensor:
    """x in a precision that LAPACK has: float32 for half precision."""
    return x if x.element_size() > 2 else x.float()


def cholesky(a: torch.Tensor) -> torch.Tensor:
    """The lower triangle l with `l @ l' = (a + a') / 2`; NaN in its place where that is not positive definite."""
    lower, failed = torch.linalg.cholesky_ex(wide(a + a.mT) / 2)
    known = torch.where(failed == 0, 1, math.nan).to(lower.dtype)
    return finite_or_nan(lower * known[..., None, None]).tril().to(a.dtype)


def solve_linear(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The x with `a @ x = b`; one that is not finite is NaN throughout."""
    # Of as many axes as `a`, so that PyTorch does not take it for vectors.
    x, _ = torch.linalg.solve_ex(wide(a), wide(b)[(None,) * (a.dim() - b.dim())])
    return finite_or_nan(x).to(a.dtype)


def solve_triangular(
    a: torch.Tensor, b: torch.Tensor, lower: bool = True, transposed: bool = False, unit: bool = False
) -> torch.Tensor:
    """The x with `a @ x = b`, or `a' @ x = b`, of a triangle of a; `unit` takes its diagonal for ones."""
    a = wide(a.mT if transposed else a)
    x = torch.linalg.solve_triangular(a, wide(b), upper=lower is transposed, unitriangular=unit)
    return finite_or_nan(x).to(b.dtype)


def finite_or_nan(x: torch.Tensor) -> torch.Tensor:
    """Matrices that are finite; NaN in the place of others, so that their gradients are NaN, too."""
    return x * one_or_nan(x)


def one_or_nan(x: torch.Tensor) -> torch.Tensor:
    """1 for each matrix that is finite, and NaN for each that is not."""
    return torch.where(x.isfinite().all(-1).all(-1), 1, math.nan).to(x.dtype)[..., None, None]


def log_determinant(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sign of the determinant, and the logarithm of its size."""
    sign, size = torch.linalg.slogdet(wide(a))
    return torch.where(size.isnan(), math.nan, sign).to(a.dtype), size.to(a.dtype)


def inverse(a: torch.Tensor) -> torch.Tensor:
    """The inverse of each matrix; NaN throughout where there is none."""
    return solve_linear(a, torch.eye(a.shape[-1], dtype=a.dtype, device=a.device))


def signed_qr(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`a = q @ r`, reduced; the diagonal of r is not negative."""
    q, r = torch.linalg.qr(wide(a))
    sign = torch.where(r.diagonal(0, -2, -1) < 0, -1, 1)
    return (q * sign[..., None, :]).to(a.dtype), (r * sign[..., :, None]).to(a.dtype)


def signed_svd(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`a = u * s @ vt`, reduced; the leading entries of the columns of u are positive."""
    known = one_or_nan(wide(a))
    u, s, vt = torch.linalg.svd(torch.where(known == 1, wide(a), 0), full_matrices=False)
    sign = orientation(u)
    return (u * sign * known).to(a.dtype), (s * known[..., 0]).to(a.dtype), (vt * sign.mT * known).to(a.dtype)


def signed_eigh(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`(a + a') / 2 = v * w @ v'`; w ascends, and the leading entries of the columns of v are positive."""
    known = one_or_nan(wide(a))
    w, v = torch.linalg.eigh(torch.where(known == 1, wide(a + a.mT) / 2, 0))
    return (w * known[..., 0]).to(a.dtype), (v * orientation(v) * known).to(a.dtype)


def orientation(v: torch.Tensor) -> torch.Tensor:
    """1 or -1 for each column, which makes its leading entry positive: the first of size 0.9 of the largest or more."""
    if v.numel() == 0:
        return v.new_ones((*v.shape[:-2], 1, v.shape[-1]))
    size = v.detach().abs()
    large = size >= 0.9 * size.amax(-2, keepdim=True)
    leading = large.to(torch.uint8).argmax(-2, keepdim=True)
    return torch.where(v.detach().gather(-2, leading) < 0, -1, 1)


def pseudo_inverse(a: torch.Tensor, rtol: float) -> torch.Tensor:
    """The pseudo-inverse; singular values up to rtol times the largest count as 0."""
    found: torch.Tensor = torch.linalg.pinv(wide(a), rtol=rtol)
    return found.to(a.dtype)


def matrix_exponential(a: torch.Tensor) -> torch.Tensor:
    """e to the power of each matrix, by scaling and squaring."""
    found: torch.Tensor = torch.linalg.matrix_exp(wide(a))
    return found.to(a.dtype)
