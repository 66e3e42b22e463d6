"""Linear equations and determinants of square matrices, in the last two axes; axes before them are a batch.

No matrix is an error: what has no answer gives NaN (docs/numerics.md, "Linear algebra").
"""

from __future__ import annotations

from collections.abc import Iterator

from architrave.ir.arrays import Array, np
from architrave.ir.dims import Size
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.contraction import Matmul
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.logic import Cast, Equal
from architrave.ir.ops.shape import Transpose, Tril, Triu, Unsqueeze
from architrave.ir.types import DType, TensorType, broadcast, promote


class Cholesky(Op):
    """The lower triangle `l` with `l l' = (a + a') / 2`; NaN in its place where that is not positive definite."""

    def infer(self, a: TensorType) -> TensorType:
        return square("`cholesky`", a)

    def reference(self, a: Array) -> Array:
        a = (a + a.swapaxes(-1, -2)) / 2
        found = [_cholesky(matrix) for matrix in a.reshape(-1, *a.shape[-2:])] if a.size else []
        return np.array(found, np.float64).reshape(a.shape)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (lower,), (g,) = results, cotangents
        back = apply(TriangularSolve(transposed=True), lower, _lower_half(product(transposed(lower), g)))
        return (symmetric(transposed(apply(TriangularSolve(transposed=True), lower, transposed(back)))),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(np.array([[4.0, 2.0, 0.6], [2.0, 3.0, 0.4], [0.6, 0.4, 2.0]]))
        yield sample(np.array([[[2.0, 1.5], [0.5, 3.0]], [[1.0, 0.0], [0.0, 0.25]]]))
        yield sample(np.array([[9.0]]))
        yield sample([2, 0, 0])
        yield sample([0, 3, 3])
        yield sample(np.array([[[1, 2], [2, 1]], [[4, 1], [1, 4]]]))
        yield sample(np.array([[4, 2], [2, 3]]))
        yield sample([2, 3], error="E305")
        yield sample([3], error="E304")
        yield sample(typed(DType.C64, 2, 2), error="E303")


class TriangularSolve(Op):
    """The `x` with `a x = b`, where of `a` only the lower or the upper triangle counts: a [..., N, N], b [..., N, K].

    `transposed` solves `a' x = b`; `unit` takes the diagonal for ones. A solution that is not finite is NaN throughout.
    """

    lower: bool = True
    transposed: bool = False
    unit: bool = False

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        return _solution("`triangular_solve`", a, b)

    def reference(self, a: Array, b: Array) -> Array:
        a = np.tril(a) if self.lower else np.triu(a)
        if self.unit:
            a = np.where(np.eye(a.shape[-1], dtype=bool), 1.0, a)
        return _solve(a.swapaxes(-1, -2) if self.transposed else a, b)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (a, _), (x,) = operands, results
        by_b = apply(TriangularSolve(self.lower, not self.transposed, self.unit), a, cotangents[0])
        by_a = product(x, transposed(by_b)) if self.transposed else product(by_b, transposed(x))
        return -apply(Tril(-int(self.unit)) if self.lower else Triu(int(self.unit)), by_a), by_b

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        a = np.array([[2.0, 0.5, -1.0], [1.0, -3.0, 0.25], [0.5, 1.5, 4.0]])
        for lower in (True, False):
            yield sample(a, [3, 2], lower=lower)
            yield sample(a, [3, 1], lower=lower, transposed=True)
            yield sample(a, [2, 3, 2], lower=lower, unit=True)
        yield sample(np.stack([a, a.T]), [2, 3, 2], transposed=True, unit=True)
        yield sample(np.stack([a, a.T])[:, None], [4, 3, 1])
        yield sample(np.array([[[1, 0], [2, 0]], [[1, 0], [2, 1]]]), [2, 2, 1])
        yield sample(np.array([[5.0]]), [1, 1])
        yield sample([0, 0], [0, 2])
        yield sample(np.array([[2, 0], [1, 3]]), [2, 0])
        yield sample([2, 3], [3, 1], error="E305")
        yield sample([3, 3], [2, 1], error="E305")
        yield sample([3, 3], [3], error="E304")
        yield sample([2, 3, 3], [3, 3, 1], error="E301")
        yield sample([2, 2], typed(DType.C64, 2, 1), error="E303")


class Solve(Op):
    """The `x` with `a x = b`: a [..., N, N], b [..., N, K]. A solution that is not finite is NaN throughout."""

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        return _solution("`solve`", a, b)

    def reference(self, a: Array, b: Array) -> Array:
        return _solve(a, b)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        by_b = apply(Solve(), transposed(operands[0]), cotangents[0])
        return -product(by_b, transposed(results[0])), by_b

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        a = np.array([[2.0, 0.5, -1.0], [1.0, -3.0, 0.25], [0.5, 1.5, 4.0]])
        yield sample(a, [3, 2])
        yield sample(np.stack([a, a.T]), [2, 3, 1])
        yield sample(np.stack([a, a.T])[:, None], [3, 3, 2])
        yield sample(np.array([[[1, 2], [2, 4]], [[1, 2], [3, 4]]]), [2, 2, 3])
        yield sample(np.array([[0.0, 1.0], [2.0, 0.0]]), [2, 1])
        yield sample(np.array([[4.0]]), [2, 1, 1])
        yield sample([0, 0], [0, 2])
        yield sample(np.array([[1, 2], [3, 5]]), np.array([[1], [2]]))
        yield sample([2, 3], [3, 1], error="E305")
        yield sample([3, 3], [2, 1], error="E305")
        yield sample([3, 3], [3], error="E304")
        yield sample([2, 3, 3], [3, 3, 1], error="E301")


class Slogdet(Op):
    """The sign of the determinant, and the logarithm of its size: 0 and minus infinity where the matrix is singular."""

    def infer(self, a: TensorType) -> tuple[TensorType, TensorType]:
        result = square("`slogdet`", a)
        scalar = result.with_shape(a.shape[:-2])
        return scalar, scalar

    def reference(self, a: Array) -> tuple[Array, Array]:
        sign, size = np.linalg.slogdet(a)
        return np.where(np.isnan(size), np.nan, sign), np.asarray(size)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (a,), g = operands, apply(Unsqueeze((-2, -1)), cotangents[1])
        return (g * apply(Solve(), transposed(a), identity(a.shape[-1], a.dtype)),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        a = np.array([[2.0, 0.5, -1.0], [1.0, -3.0, 0.25], [0.5, 1.5, 4.0]])
        yield sample(a)
        yield sample(np.stack([a, a[::-1], 100 * a, a.T]).reshape(2, 2, 3, 3))
        yield sample(np.array([[-3.0]]))
        yield sample([0, 0])
        yield sample([0, 2, 2])
        yield sample(np.array([[1, 2], [3, 4]]))
        yield sample(np.array([[1, 2], [2, 4]]))
        yield sample([2, 3], error="E305")
        yield sample([3], error="E304")
        yield sample(typed(DType.BOOL, 2, 2), error="E303")


def square(what: str, a: TensorType) -> TensorType:
    """The type of square matrices as floats. Raises E303, E304, E305."""
    result = matrices(what, a)
    checks.same(f"the sizes of {what}", a.shape[-2], "the rows", a.shape[-1], f"the columns of {a}")
    return result


def matrices(what: str, a: TensorType) -> TensorType:
    """The type of matrices as floats. Raises E303, E304."""
    checks.numeric(what, a)
    checks.real(what, a)
    checks.at_least(f"the operand of {what}", a, 2)
    return a.with_dtype(checks.floating(a.dtype))


def transposed(x: Value) -> Value:
    """The transposes of matrices."""
    return apply(Transpose((*range(x.rank - 2), x.rank - 1, x.rank - 2)), x)


def symmetric(x: Value) -> Value:
    """The mean of matrices and their transposes."""
    return (x + transposed(x)) * 0.5


def product(a: Value, *others: Value) -> Value:
    """The matrix product of all, from left to right."""
    for b in others:
        a = apply(Matmul(), a, b)
    return a


def identity(size: Size, dtype: DType) -> Value:
    """The identity matrix [size, size]."""
    places = apply(Arange(size))
    return apply(Cast(dtype), apply(Equal(), apply(Unsqueeze((1,)), places), places))


def _solution(what: str, a: TensorType, b: TensorType) -> TensorType:
    left, right = square(what, a), matrices(what, b)
    checks.same(f"the sizes of {what}", a.shape[-1], f"the matrix {a}", b.shape[-2], f"the rows of {b}")
    return TensorType(promote(left.dtype, right.dtype), (*broadcast(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]))


def _lower_half(x: Value) -> Value:
    """The lower triangle, with half of the diagonal."""
    return (apply(Tril(), x) + apply(Tril(-1), x)) * 0.5


def _cholesky(a: Array) -> Array:
    try:
        lower = np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        lower = np.full(a.shape, np.nan)
    return lower if np.isfinite(lower).all() else np.tril(np.full(a.shape, np.nan))


def _solve(a: Array, b: Array) -> Array:
    singular = np.linalg.slogdet(a)[0] == 0
    x = np.linalg.solve(np.where(singular[..., None, None], np.nan, a), b)
    return np.where(np.isfinite(x).all(axis=(-2, -1), keepdims=True), x, np.nan)
