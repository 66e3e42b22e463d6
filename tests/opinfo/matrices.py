"""Rules for matrix products, linear algebra and Fourier transforms."""

from __future__ import annotations

import math
from typing import Any

import torch

from architrave.ir import build as ops
from architrave.ir.graph import Value
from tests.opinfo.judge import THEIRS
from tests.opinfo.reductions import normed
from tests.opinfo.rules import require, rules, same
from tests.opinfo.shapes import swapped

same(
    ["matmul", "matrix_exp"],
    mm="matmul",
    bmm="matmul",
    mv="matmul",
    dot="matmul",
    vdot="matmul",
    **{"linalg.slogdet": "slogdet", "linalg.det": "det"},
)


def einsum(equation: Any, *operands: Any) -> Value:
    if isinstance(equation, list):
        equation, operands = operands[0], tuple(equation)
    if operands and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    equation = equation.replace(" ", "")
    if "->" not in equation:
        letters = [c for c in equation if c.isalpha()]
        free = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
        equation += "->" + ("..." if "..." in equation else "") + free
    require("..." in equation.partition("->")[2] or "..." not in equation, "a sum over `...`")
    return ops.einsum(*operands, equation=equation)


def plus(c: Value, product: Value, beta: float, alpha: float) -> Value:
    """Where `beta` is 0, what is added is ignored."""
    product = product if alpha == 1 else product * alpha
    shape = product.shape
    return product + ops.expand(c * beta if beta != 1 else c, shape=shape)


def transformed(name: str) -> Any:
    def transform(x: Value, n: int | None = None, dim: int = -1, norm: str | None = None) -> Value:
        return ops.call(name, x, n=n, axis=dim, norm=norm or "backward")

    return transform


def transformed_2d(name: str) -> Any:
    def transform(x: Value, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Value:
        require(not isinstance(dim, int) and len(dim) == 2, "other than two axes")
        require(s is None or all(n > 0 for n in s), "a size that is that of the axis")
        return ops.call(name, x, sizes=None if s is None else tuple(s), axes=tuple(dim), norm=norm or "backward")

    return transform


def lower(a: Value, upper: bool = False) -> Value:
    found = ops.cholesky(a)
    return swapped(found, -2, -1) if upper else found


def triangular(a: Value, b: Value, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Value:
    require(left, "a system from the right")
    return ops.triangular_solve(a, b, lower=not upper, unit=unitriangular)


def solved(a: Value, b: Value, left: bool = True) -> Value:
    require(left, "a system from the right")
    if b.rank == 1 or b.shape == a.shape[:-1]:
        return ops.squeeze(ops.solve(a, ops.unsqueeze(b, axes=(-1,))), axes=(-1,))
    return ops.solve(a, b)


def chained(first: Any, *others: Any) -> Value:
    factors = list(first) if isinstance(first, list | tuple) else [first, *others]
    product = factors[0]
    for factor in factors[1:]:
        product = ops.matmul(product, factor)
    return product


def matrix_norm(x: Value, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, dtype: Any = None) -> Value:
    require(ord == "fro", "a norm by singular values or sums")
    return normed(x, 2, dim, keepdim, dtype)


def with_signs(op: Any, *arguments: Any, **named: Any) -> Any:
    """The factors of which `r` has no negative diagonal."""
    q, r = op(*arguments, **named)
    signs = torch.where(r.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0)
    return q * signs.unsqueeze(-2), r * signs.unsqueeze(-1)


def qr(x: Value, mode: Any = "reduced") -> Any:
    require(mode in ("reduced", True), "factors of other sizes")
    return ops.qr(x)


def crossed(a: Value, b: Value, dim: int | None = None) -> Value:
    d = next(i for i, n in enumerate(a.shape) if n == 3) if dim is None else dim
    shape = [max(m, n) for m, n in zip(a.shape, b.shape, strict=True)]
    a, b = ops.expand(a, shape=tuple(shape)), ops.expand(b, shape=tuple(shape))

    def turn(x: Value, by: int) -> Value:
        return ops.roll(x, shifts=(by,), axes=(d,))

    return turn(a, -1) * turn(b, -2) - turn(a, -2) * turn(b, -1)


def of_symmetric(op: Any, x: torch.Tensor, *arguments: Any, **named: Any) -> Any:
    """Of the mean with the transpose, which ours takes; samples are symmetric but for rounding."""
    return op((x + x.mT) / 2, *arguments, **named)


def pseudo(x: Value, *rtol: Any, **named: Any) -> Value:
    require(not rtol and not named, "a tolerance of its own")
    return ops.pinv(x)


def logdet(x: Value) -> Value:
    sign, size = ops.slogdet(x)
    return ops.where(ops.less(sign, 0.0), math.nan, size)


THEIRS["qr"] = THEIRS["linalg.qr"] = with_signs
THEIRS["cholesky"] = THEIRS["linalg.cholesky"] = THEIRS["linalg.eigvalsh"] = of_symmetric

rules(
    {
        "einsum": einsum,
        "outer": lambda a, b: ops.einsum(a, b, equation="i,j->ij"),
        "inner": lambda a, b: ops.multiply(a, b) if not (a.rank and b.rank) else inner(a, b),
        "addmm": lambda c, a, b, beta=1, alpha=1: plus(c, ops.matmul(a, b), beta, alpha),
        "addmm.decomposed": lambda c, a, b, beta=1, alpha=1: plus(c, ops.matmul(a, b), beta, alpha),
        "addmv": lambda c, a, b, beta=1, alpha=1: plus(c, ops.matmul(a, b), beta, alpha),
        "addr": lambda c, a, b, beta=1, alpha=1: plus(c, ops.einsum(a, b, equation="i,j->ij"), beta, alpha),
        "baddbmm": lambda c, a, b, beta=1, alpha=1: plus(c, ops.matmul(a, b), beta, alpha),
        "addbmm": lambda c, a, b, beta=1, alpha=1: plus(c, ops.sum(ops.matmul(a, b), axes=(0,)), beta, alpha),
        "linalg.vecdot": lambda a, b, dim=-1: ops.sum(a * b, axes=(dim,)),
        "linalg.multi_dot": chained,
        "linalg.inv": ops.inverse,
        "linalg.solve": solved,
        "linalg.solve_triangular": triangular,
        "linalg.cholesky": lower,
        "cholesky": lower,
        "linalg.eigvalsh": lambda x, UPLO="L": ops.eigh(x)[0],
        "linalg.svdvals": lambda x: ops.svd(x)[1],
        "linalg.qr": qr,
        "qr": qr,
        "linalg.matrix_power": lambda x, n: ops.matrix_power(x, n=n),
        "linalg.pinv": pseudo,
        "pinverse": pseudo,
        "logdet": logdet,
        "linalg.matrix_norm": matrix_norm,
        "linalg.cross": lambda a, b, dim=-1: crossed(a, b, dim),
        "cross": crossed,
        "kron": lambda a, b: kronecker(a, b),
        "tensordot": lambda a, b, dims=2: tensordot(a, b, dims),
        "fft.fft": transformed("fft"),
        "fft.ifft": transformed("ifft"),
        "fft.rfft": transformed("rfft"),
        "fft.irfft": transformed("irfft"),
        "fft.fft2": transformed_2d("fft2"),
        "fft.ifft2": transformed_2d("ifft2"),
        "fft.rfft2": transformed_2d("rfft2"),
        "fft.irfft2": transformed_2d("irfft2"),
    }
)


def inner(a: Value, b: Value) -> Value:
    left, right = "abcd"[: a.rank - 1], "efgh"[: b.rank - 1]
    return ops.einsum(a, b, equation=f"{left}z,{right}z->{left}{right}")


def tensordot(a: Value, b: Value, dims: Any) -> Value:
    if isinstance(dims, int):
        dims = tuple(range(a.rank - dims, a.rank)), tuple(range(dims))
    names = list("abcdefgh"[: a.rank])
    others = list("nopqrstu"[: b.rank])
    for i, j in zip(*(tuple(d) for d in dims), strict=True):
        require(a.shape[i] == b.shape[j], "an axis of 1 that is stretched")
        others[j] = names[i]
    free = [n for n in names if n not in others] + [n for n in others if n not in names]
    return ops.einsum(a, b, equation=f"{''.join(names)},{''.join(others)}->{''.join(free)}")


def kronecker(a: Value, b: Value) -> Value:
    rank = max(a.rank, b.rank)
    m, n = ((1,) * (rank - x.rank) + tuple(x.shape) for x in (a, b))
    wide_a = ops.reshape(a, shape=tuple(s for size in m for s in (size, 1)))
    wide_b = ops.reshape(b, shape=tuple(s for size in n for s in (1, size)))
    return ops.reshape(wide_a * wide_b, shape=tuple(i * j for i, j in zip(m, n, strict=True)))
