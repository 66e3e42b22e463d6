"""Functions of matrices that others make up: inverses, powers, exponentials, least squares."""

from __future__ import annotations

import math
from collections.abc import Iterator

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Sample, Values, opaque, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.activation import Clip
from architrave.ir.ops.arithmetic import Power
from architrave.ir.ops.elementwise import Abs, Ceil, Exp, Log
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.linalg import Slogdet, Solve, identity, matrices, product, square, transposed
from architrave.ir.ops.logic import Cast, Where
from architrave.ir.ops.reduce import Max, Sum
from architrave.ir.ops.shape import Unsqueeze
from architrave.ir.types import DType, TensorType, broadcast, promote


class _OfSquare(Op, register=False):
    """A square matrix of each square matrix."""

    def infer(self, a: TensorType) -> TensorType:
        return square(f"`{self.name}`", a)

    relate = opaque

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        a = np.array([[2.0, 0.5, -1.0], [1.0, -3.0, 0.25], [0.5, 1.5, 4.0]])
        yield sample(a)
        yield sample(np.stack([a, 0.1 * a.T, a / 3, -a]).reshape(2, 2, 3, 3))
        yield sample(np.array([[-0.5]]))
        yield sample([2, 0, 0])
        yield sample([0, 2, 2])
        yield sample(np.array([[1, 2], [3, 5]]))
        yield sample([2, 3], error="E305")
        yield sample([3], error="E304")
        yield sample(typed(DType.C64, 2, 2), error="E303")


class Inverse(_OfSquare):
    """The inverse of each matrix; NaN throughout where there is none."""

    def expand(self, a: Value) -> Value:
        a = _float(a)
        return apply(Solve(), a, identity(a.shape[-1], a.dtype))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        turned = transposed(results[0])
        return (-product(turned, cotangents[0], turned),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([[[1, 2], [2, 4]], [[1, 2], [3, 4]]]))


class Det(Op):
    """The determinant of each matrix."""

    def infer(self, a: TensorType) -> TensorType:
        return square("`det`", a).with_shape(a.shape[:-2])

    def expand(self, a: Value) -> Value:
        sign, size = build.slogdet(a)
        determinant: Value = sign * apply(Exp(), size)
        return determinant

    relate = opaque

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        return Slogdet.samples()


class MatrixPower(_OfSquare):
    """The product of `n` times each matrix; of its inverse where `n` is negative."""

    n: int

    def expand(self, a: Value) -> Value:
        a = _float(a)
        if self.n == 0:
            diagonal = identity(a.shape[-1], DType.BOOL)
            return apply(Where(), diagonal, 1.0, apply(Where(), diagonal, a, 0.0))
        base = apply(Inverse(), a) if self.n < 0 else a
        result = base
        for bit in bin(abs(self.n))[3:]:
            result = product(result, result)
            result = product(result, base) if bit == "1" else result
        return result

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for case in super().samples():
            yield Sample(case.inputs, {"n": 3}, error=case.error)
        for n in (-2, -1, 0, 1, 2, 6, 13):
            yield sample(np.array([[1.5, 0.5], [-0.25, 1.0]]), n=n)


class MatrixExp(_OfSquare):
    """`e` to the power of each matrix: a Pade approximant of degree 13, scaled and squared (Higham, 2005).

    A matrix is halved up to 16 times, which is enough up to a norm of 352,000.
    """

    def expand(self, a: Value) -> Value:
        a = _float(a)
        if a.shape[-1] == 0:
            return a
        norm = apply(Max((-2, -1), True), apply(Sum((-2,), True), apply(Abs(), a)))
        halvings = apply(Clip(0, _HALVINGS), apply(Ceil(), apply(Log(), norm * (1 / _REACH)) * (1 / math.log(2))))
        x = _pade(a * apply(Power(), 2.0, -halvings))
        for done in range(_HALVINGS):
            x = apply(Where(), halvings > done, product(x, x), x)
        return x

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        # The upper right block of the exponential of [[a', g], [0, a']] is the gradient: Najfeld and Havel (1995).
        a, g = transposed(_float(operands[0])), cotangents[0]
        n = a.shape[-1]
        blocks = build.concat(build.concat(a, g, axis=-1), build.concat(a * 0, a, axis=-1), axis=-2)
        starts, stops = (*(0,) * (a.rank - 1), n), (*a.shape[:-1], 2 * n)
        return (build.slice(apply(MatrixExp(), blocks), starts, stops, (1,) * a.rank),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield sample(np.array([[0.0, 1.0], [0.0, 0.0]]))
        yield sample(np.array([[-40.0, 3.0], [-2.0, -60.0]]))
        yield sample(np.array([[[0.0, 20.0], [-20.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]))


class Pinv(Op):
    """The pseudo-inverse of each matrix: a [..., M, N] -> [..., N, M].

    Singular values up to `rtol` times the largest count as 0. Moore (1920), Penrose (1955).
    """

    rtol: float = 1e-6

    def infer(self, a: TensorType) -> TensorType:
        result = matrices("`pinv`", a)
        return result.with_shape((*a.shape[:-2], a.shape[-1], a.shape[-2]))

    def expand(self, a: Value) -> Value:
        a = _float(a)
        if 0 in a.shape[-2:]:
            return apply(Full(0.0, self.infer(a.type).shape, a.dtype))
        u, s, vt = build.svd(a)
        kept = s > apply(Max((-1,), True), s) * self.rtol
        inverse = apply(Where(), kept, 1.0 / apply(Where(), kept, s, 1.0), s * 0)
        return product(transposed(vt), apply(Unsqueeze((-1,)), inverse) * transposed(u))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        # Golub and Pereyra (1973): no division by differences of singular values.
        (a,), (p,), g = operands, results, transposed(cotangents[0])
        turned = transposed(p)
        left = product(g - product(a, p, g), p, turned)
        right = product(turned, p, g - product(g, p, a))
        return (left + right - product(turned, transposed(g), turned),)

    relate = opaque

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([3, 3])
        yield sample([5, 3])
        yield sample([2, 1, 2, 4])
        yield sample(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]))
        yield sample(np.array([[3.0, 0.0], [0.0, 1e-6]]), rtol=1e-3)
        yield sample([0, 2, 3])
        yield sample([3, 0])
        yield sample(np.array([[1, 2], [3, 5]]))
        yield sample([3], error="E304")
        yield sample(typed(DType.C64, 2, 2), error="E303")


class Lstsq(Op):
    """The shortest `x` for which `a x - b` is shortest: a [..., M, N], b [..., M, K] -> [..., N, K].

    Singular values of `a` up to `rtol` times the largest count as 0.
    """

    rtol: float = 1e-6

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        left, right = matrices("`lstsq`", a), matrices("`lstsq`", b)
        checks.same("the sizes of `lstsq`", a.shape[-2], f"the rows of {a}", b.shape[-2], f"the rows of {b}")
        lead = broadcast(a.shape[:-2], b.shape[:-2])
        return TensorType(promote(left.dtype, right.dtype), (*lead, a.shape[-1], b.shape[-1]))

    def expand(self, a: Value, b: Value) -> Value:
        return product(apply(Pinv(self.rtol), a), _float(b))

    relate = opaque

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([5, 3], [5, 2])
        yield sample([2, 4], [2, 1])
        yield sample([3, 1, 3, 3], [2, 3, 2])
        yield sample(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]), [3, 1])
        yield sample([3, 0], [3, 2])
        yield sample([3, 2], [2, 1], error="E305")
        yield sample([3, 2], [3], error="E304")
        yield sample([3, 2], typed(DType.C64, 3, 1), error="E303")


_HALVINGS = 16
_REACH = 5.371920351148152
"""The norm up to which the approximant is as good as float64: Higham (2005), table 2.3."""
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip


def _pade(a: Value) -> Value:
    """The exponential of a small matrix: `(v - u) x = v + u`, `u` of the odd powers and `v` of the even ones."""
    two = product(a, a)
    four = product(two, two)
    six = product(two, four)
    one = identity(a.shape[-1], a.dtype)

    def polynomial(b: tuple[float, ...]) -> Value:
        high = product(six, six * b[6] + four * b[5] + two * b[4])
        return high + six * b[3] + four * b[2] + two * b[1] + one * b[0]

    # Divided by the first, which would overflow in half precision.
    scaled = tuple(b / _PADE[0] for b in _PADE)
    u, v = product(a, polynomial(scaled[1::2])), polynomial(scaled[::2])
    return apply(Solve(), v - u, v + u)


def _float(a: Value) -> Value:
    return a if a.dtype.is_float else apply(Cast(DType.FLOAT), a)
