"""Weights of which blocks are stored by other formulas: block after block, into zeros."""

from collections.abc import Callable

import numpy as np

from tests.ir.apply import Array
from tests.ir.low_bit import integers


def sparse_to_dense(values: Array, columns: Array, starts: Array, width: int) -> Array:
    high, wide = values.shape[1:] or (1, 1)
    weight = np.zeros(((len(starts) - 1) * high, width), values.dtype)
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            left = columns[at] * wide
            weight[row * high : (row + 1) * high, left : left + wide] += values[at]
    return weight


def linear_sparse(x: Array, values: Array, columns: Array, starts: Array) -> Array:
    return x @ sparse_to_dense(values, columns, starts, x.shape[-1]).T


def pointwise_sparse(x: Array, values: Array, columns: Array, starts: Array) -> Array:
    weight = sparse_to_dense(values, columns, starts, x.shape[1])
    return np.moveaxis(np.tensordot(weight, x, axes=([1], [1])), 0, 1)


def unpack_nm(values: Array, places: Array, n: int = 2, m: int = 4) -> Array:
    bits = 1 if m == 2 else 2 if m <= 4 else 4
    *lead, count = values.shape
    weight = np.zeros((*lead, count // n * m))
    for index in np.ndindex(*values.shape):
        byte, digit = divmod(index[-1] * bits, 8)
        place = integers(int(places[(*index[:-1], byte)]), bits, False)[digit // bits]
        if place < m:
            weight[(*index[:-1], index[-1] // n * m + place)] += values[index]
    return weight


SPARSE: dict[str, Callable[..., Array]] = {
    "sparse_to_dense": sparse_to_dense,
    "linear_sparse": linear_sparse,
    "pointwise_sparse": pointwise_sparse,
    "unpack_nm": unpack_nm,
}
