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

    The singular values are shared evenly, so that both are of one size and learn alike.
    """
    u, s, vt = build.svd(matrices)
    root = apply(Sqrt(), first(s, None, rank))
    left = first(u, None, None, rank) * apply(Unsqueeze((1,)), root)
    return left, first(vt, None, rank) * apply(Unsqueeze((2,)), root)


def leading(matrix: Value, rank: int) -> Value:
    """The first `rank` left singular vectors of a matrix [M, N]: [M, rank]."""
    u: Value = build.svd(matrix)[0]
    return first(u, None, rank)


def contracted(x: Value, axis: int, matrix: Value) -> Value:
    """The products with a matrix [size, R] along one axis, summed over it: R stands last, and the others before it."""
    others = [i for i in range(x.rank) if i != axis]
    return apply(Matmul(), apply(Transpose((*others, axis)), x), matrix)


def first(x: Value, *counts: int | None) -> Value:
    """The first so many elements along each axis; all where None is given, or nothing."""
    stops = tuple(size if i >= len(counts) else counts[i] or size for i, size in enumerate(x.shape))
    return apply(Slice((0,) * x.rank, stops, (1,) * x.rank), x)


def arranged(x: Value, order: Sequence[int], shape: Sequence[int]) -> Value:
    """The axes in another order, and then another shape."""
    return apply(Reshape(tuple(shape)), apply(Transpose(tuple(order)), x))
