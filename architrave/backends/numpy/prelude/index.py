"""Indexing, sorting and sums over segments."""

from __future__ import annotations

import numpy as np


def argsort(x: np.ndarray, axis: int = -1, descending: bool = False) -> np.ndarray:
    """The order that sorts x along `axis`; equal values keep their order, NaN counts as the largest."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    # Sorting the reversed array and reversing the result keeps the order of equal values.
    backwards = np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    return np.subtract(x.shape[axis] - 1, backwards)


def topk(x: np.ndarray, k: int, axis: int = -1, largest: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The k largest (smallest) values along `axis`, in order, and where they stand; of equal values the first."""
    index = np.take(argsort(x, axis, descending=largest), range(k), axis=axis)
    return np.take_along_axis(x, index, axis), index


def gather(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """The cells of x that `index` names along `axis`; the other axes of index may be shorter than those of x."""
    rest = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(index.shape))
    return np.take_along_axis(x[rest], np.clip(index, 0, x.shape[axis] - 1), axis)


def scatter_add(x: np.ndarray, index: np.ndarray, source: np.ndarray, axis: int) -> np.ndarray:
    """x with the cells of source added where `index` says along `axis`: the transpose of `gather`."""
    y = x.copy()
    places = np.indices(index.shape, sparse=True)
    np.add.at(y, (*places[:axis], index, *places[axis + 1 :]), source[tuple(slice(n) for n in index.shape)])
    return y


def segment_reduce(reduce: np.ufunc, x: np.ndarray, segments: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Combine the rows of x [n, ...] that have one number in segments [n], into a copy of empty [count, ...]."""
    y = empty.copy()
    order = np.argsort(segments, kind="stable")
    order = order[(segments[order] >= 0) & (segments[order] < len(y))]
    if order.size == 0:
        return y
    numbers, starts = np.unique(segments[order], return_index=True)
    y[numbers] = reduce.reduceat(x[order], starts, axis=0)
    return y
