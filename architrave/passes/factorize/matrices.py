"""Matrices as products of two thin ones, as expressions."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir import build
from architrave.ir.graph import Value, apply
from architrave.ir.ops.contraction import Matmul
from architrave.ir.ops.elementwise import Sqrt
from architrave.ir.ops.join import Slice
from architrave.ir.ops.shape import Reshape, Transpose, Unsqueeze


def halves(matrices: Value, rank: int) -> tuple[Value, Value]:
    """[G, M, N] -> [G, M, rank] and [G, rank, N], whose products come nearest: Eckart and Young (1936).

    The singular values are shared evenly, so that both are of one size and learn alike. They are those of the smaller
    side, by its Gram matrix, and what is left is projected onto them: at full rank nothing is lost.
    """
    m, n = matrices.shape[1:]
    if isinstance(m, int) and isinstance(n, int) and m > n:
        right, left = halves(_turned(matrices), rank)
        return _turned(left), _turned(right)
    basis = leading(matrices, rank)
    seen = apply(Matmul(), _turned(basis), matrices)
    root = apply(Sqrt(), apply(Sqrt(), build.sum(seen * seen, axes=(2,))))
    # Where nothing is seen, there is nothing to divide.
    inverse: Value = build.where(root > 0.0, 1.0 / build.where(root > 0.0, root, 1.0), 0.0)
    return basis * apply(Unsqueeze((1,)), root), seen * apply(Unsqueeze((2,)), inverse)


def leading(matrices: Value, rank: int) -> Value:
    """The first `rank` left singular vectors of matrices [*G, M, N]: [*G, M, rank], rank at most M."""
    *lead, size, _ = matrices.shape
    ascending: Value = build.eigh(apply(Matmul(), matrices, _turned(matrices)))[1]
    assert isinstance(size, int)
    starts, stops = (0,) * (len(lead) + 1), (*lead, size)
    steps = (1,) * (len(lead) + 1)
    return apply(Slice((*starts, size - 1), (*stops, size - rank - 1), (*steps, -1)), ascending)


def contracted(x: Value, axis: int, matrix: Value) -> Value:
    """The products with a matrix [size, R] along one axis, summed over it: R stands last, and the others before it."""
    others = [i for i in range(x.rank) if i != axis]
    return apply(Matmul(), apply(Transpose((*others, axis)), x), matrix)


def arranged(x: Value, order: Sequence[int], shape: Sequence[int]) -> Value:
    """The axes in another order, and then another shape."""
    return apply(Reshape(tuple(shape)), apply(Transpose(tuple(order)), x))


def _turned(x: Value) -> Value:
    """The last two axes swapped."""
    *lead, m, n = range(x.rank)
    return apply(Transpose((*lead, n, m)), x)
