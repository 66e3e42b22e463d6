"""Decompositions of matrices, in the last two axes; axes before them are a batch.

Each is unique but for signs, which are fixed here (docs/numerics.md, "Linear algebra").
"""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.dims import Size
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, sample, typed
from architrave.ir.ops.linalg import TriangularSolve, identity, matrices, product, square, symmetric, transposed
from architrave.ir.ops.logic import Equal, Where
from architrave.ir.ops.shape import Tril, Unsqueeze
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType


class Qr(Op):
    """`a = q r`: a [..., M, N] -> q [..., M, K] with orthonormal columns, and r [..., K, N], upper triangular.

    K is the smaller of M and N. The diagonal of `r` is not negative.
    """

    def infer(self, a: TensorType) -> tuple[TensorType, TensorType]:
        result = matrices("`qr`", a)
        *lead, m, n = a.shape
        k = _smaller(m, n, a)
        return result.with_shape((*lead, m, k)), result.with_shape((*lead, k, n))

    def reference(self, a: Array) -> tuple[Array, Array]:
        q, r = np.linalg.qr(a)
        sign = np.where(np.diagonal(r, 0, -2, -1) < 0, -1.0, 1.0)
        return q * sign[..., None, :], r * sign[..., :, None]

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (a,), (q, r), (by_q, by_r) = operands, results, cotangents
        if q.shape[-2] != q.shape[-1] or a.shape[-2] == a.shape[-1]:
            return (_by_tall(q, r, by_q, by_r),)
        # The first columns make `q`; the others are that times their part of `r`.
        m, n = a.shape[-2:]
        first, rest = _columns(by_r, 0, m), _columns(by_r, m, n)
        by_q = by_q + product(_columns(a, m, n), transposed(rest))
        return (build.concat(_by_tall(q, _columns(r, 0, m), by_q, first), product(q, rest), axis=-1),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([3, 3])
        yield sample([5, 3])
        yield sample([3, 5])
        yield sample([2, 1, 4, 2])
        yield sample([1, 1])
        yield sample([1, 3])
        yield sample([4, 1])
        yield sample([0, 3, 2])
        yield sample([3, 0])
        yield sample(np.array([[1, 2], [3, 5]]))
        yield sample([3], error="E304")
        yield sample(typed(DType.C64, 2, 2), error="E303")


class Svd(Op):
    """`a = u diag(s) vt`: a [..., M, N] -> u [..., M, K], s [..., K], vt [..., K, N], K the smaller of M and N.

    The singular values descend. Of each column of `u` the leading entry is positive: the first of those whose size is
    at least 0.9 of the largest.
    """

    def infer(self, a: TensorType) -> tuple[TensorType, TensorType, TensorType]:
        result = matrices("`svd`", a)
        *lead, m, n = a.shape
        k = _smaller(m, n, a)
        return tuple(map(result.with_shape, ((*lead, m, k), (*lead, k), (*lead, k, n))))  # type: ignore[return-value]

    def reference(self, a: Array) -> tuple[Array, Array, Array]:
        finite = np.isfinite(a).all(axis=(-2, -1), keepdims=True)
        u, s, vt = np.linalg.svd(np.where(finite, a, 0.0), full_matrices=False)
        sign, mask = _orientation(u), np.where(finite, 1.0, np.nan)
        return u * sign * mask, s * mask[..., 0], vt * sign.swapaxes(-1, -2) * mask

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (u, s, vt), (by_u, by_s, by_vt) = results, cotangents
        row, column = apply(Unsqueeze((-2,)), s), apply(Unsqueeze((-1,)), s)
        apart = _apart(row * row - column * column)
        left, right = product(transposed(u), by_u), product(vt, transposed(by_vt))
        middle = apart * (left - transposed(left)) * row + column * apart * (right - transposed(right))
        middle = middle + identity(s.shape[-1], s.dtype) * apply(Unsqueeze((-2,)), by_s)
        outside = (by_u - product(u, left)) / row
        around = (by_vt - product(transposed(right), vt)) / column
        return (product(product(u, middle) + outside, vt) + product(u, around),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([3, 3])
        yield sample([5, 3])
        yield sample([3, 5])
        yield sample([2, 1, 4, 2])
        yield sample([1, 1])
        yield sample([1, 3])
        yield sample([0, 3, 2])
        yield sample([3, 0])
        yield sample([0, 5])
        yield sample(np.array([[2.0, -1.0], [1.0, 2.5]]))
        yield sample(np.array([[1, 2], [3, 5]]))
        yield sample([3], error="E304")
        yield sample(typed(DType.BOOL, 2, 2), error="E303")


class Eigh(Op):
    """`(a + a') / 2 = v diag(w) v'`: a [..., N, N] -> w [..., N], ascending, and orthonormal v [..., N, N].

    Of each column of `v` the leading entry is positive: the first of those whose size is at least 0.9 of the largest.
    """

    def infer(self, a: TensorType) -> tuple[TensorType, TensorType]:
        result = square("`eigh`", a)
        return result.with_shape(a.shape[:-1]), result

    def reference(self, a: Array) -> tuple[Array, Array]:
        finite = np.isfinite(a).all(axis=(-2, -1), keepdims=True)
        w, v = np.linalg.eigh(np.where(finite, (a + a.swapaxes(-1, -2)) / 2, 0.0))
        mask = np.where(finite, 1.0, np.nan)
        return w * mask[..., 0], v * _orientation(v) * mask

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (w, v), (by_w, by_v) = results, cotangents
        row, column = apply(Unsqueeze((-2,)), w), apply(Unsqueeze((-1,)), w)
        middle = _apart(row - column) * product(transposed(v), by_v)
        middle = middle + identity(w.shape[-1], w.dtype) * apply(Unsqueeze((-2,)), by_w)
        return (symmetric(product(v, middle, transposed(v))),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([3, 3])
        yield sample([2, 1, 4, 4])
        yield sample(np.array([[2.0, 1.0], [1.0, 2.0]]))
        yield sample([1, 1])
        yield sample([2, 0, 0])
        yield sample([0, 2, 2])
        yield sample(np.array([[1, 2], [2, 5]]))
        yield sample([2, 3], error="E305")
        yield sample([3], error="E304")
        yield sample(typed(DType.C64, 2, 2), error="E303")


def _smaller(m: Size, n: Size, a: TensorType) -> Size:
    """The smaller of two sizes. Raises E307 where a symbol hides which it is."""
    if m == n or (isinstance(m, int) and isinstance(n, int)):
        return min(m, n) if isinstance(m, int) and isinstance(n, int) else m
    raise error(
        "E307",
        f"whether {m} or {n} is smaller must be known to decompose {a}",
        hint="multiply by the transpose to get a square matrix, or write the sizes as numbers",
    )


def _by_tall(q: Value, r: Value, by_q: Value, by_r: Value) -> Value:
    """The gradient by a matrix that is at least as tall as wide: Walter and Lehmann (2010)."""
    inner = product(r, transposed(by_r)) - product(transposed(by_q), q)
    below = apply(Tril(-1), inner)
    full = product(q, apply(Tril(), inner) + transposed(below)) + by_q
    return transposed(apply(TriangularSolve(lower=False), r, transposed(full)))


def _columns(x: Value, start: Size, stop: Size) -> Value:
    starts, stops = (0,) * x.rank, (*x.shape[:-1], stop)
    cut: Value = build.slice(x, (*starts[:-1], start), stops, (1,) * x.rank)
    return cut


def _apart(difference: Value) -> Value:
    """One over each difference; 0 where two values are equal."""
    same = apply(Equal(), difference, 0)
    return apply(Where(), same, 0.0, 1.0 / apply(Where(), same, 1.0, difference))


def _orientation(v: Array) -> Array:
    """1 or -1 for each column [..., 1, K], which makes its leading entry positive."""
    size = np.abs(v)
    large = size >= 0.9 * size.max(axis=-2, keepdims=True, initial=0.0)
    if not v.size:
        return np.ones((*v.shape[:-2], 1, v.shape[-1]))
    leading = np.take_along_axis(v, large.argmax(axis=-2, keepdims=True), -2)
    return np.where(leading < 0, -1.0, 1.0)
