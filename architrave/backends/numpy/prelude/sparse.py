"""Products with weights of which only some blocks are stored."""

from __future__ import annotations

import math

import numpy as np

from architrave.backends.numpy.prelude.weight_only import WEIGHTS_AT_ONCE


def linear_sparse(x: np.ndarray, values: np.ndarray, columns: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """x [..., I] times the transpose of a weight [O, I] in CSR or BSR."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = sparse_times(values, columns, starts, rows.T)
    return y.T.reshape(*x.shape[:-1], len(y))


def pointwise_sparse(x: np.ndarray, values: np.ndarray, columns: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """A convolution of x [N, C, *S] whose kernel [O, C] of size 1 is in CSR or BSR."""
    pixels = np.moveaxis(x, 1, 0)
    y = sparse_times(values, columns, starts, pixels.reshape(len(pixels), math.prod(pixels.shape[1:])))
    return np.moveaxis(y.reshape(len(y), *pixels.shape[1:]), 0, 1)


def sparse_times(values: np.ndarray, columns: np.ndarray, starts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A weight [O, I] times x [I, P]."""
    if values.ndim == 3:
        return blocks_times(values, columns, starts, x)
    if x.shape[1] == 1:
        return entries_times(values, columns, starts, x[:, 0])[:, None]
    y = np.empty((len(starts) - 1, x.shape[1]), np.result_type(values, x))
    rows = max(WEIGHTS_AT_ONCE // max(len(x), 1), 1)
    for first in range(0, len(y), rows):
        part = starts[first : first + rows + 1]
        inside = slice(part[0], part[-1])
        weight = np.zeros((len(part) - 1, len(x)), values.dtype)
        weight[np.repeat(np.arange(len(weight)), np.diff(part)), columns[inside]] = values[inside]
        np.matmul(weight, x, out=y[first : first + rows])
    return y


def blocks_times(values: np.ndarray, columns: np.ndarray, starts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A weight of blocks times x [I, P]: each row of blocks times those rows of x that it needs."""
    _, high, wide = values.shape
    y = np.empty((len(starts) - 1, high, x.shape[1]), np.result_type(values, x))
    x = np.ascontiguousarray(x).reshape(len(x) // wide, wide, x.shape[1])
    across = values.transpose(1, 0, 2)
    for row, (first, last) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        weight = across[:, first:last].reshape(high, (last - first) * wide)
        np.matmul(weight, x[columns[first:last]].reshape(weight.shape[1], x.shape[2]), out=y[row])
    return y.reshape(len(y) * high, x.shape[2])


def entries_times(values: np.ndarray, columns: np.ndarray, starts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A weight of single numbers times a vector x [I]."""
    filled = starts[:-1] < starts[1:]
    y = np.zeros(len(filled), np.result_type(values, x))
    if len(values):
        y[filled] = np.add.reduceat(values * x[columns], starts[:-1][filled])
    return y
