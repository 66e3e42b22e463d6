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
    """The cells of x that `index` names along `axis`; along the others it may be shorter. Clamps indices."""
    rest = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(index.shape))
    return np.take_along_axis(x[rest], np.clip(index, 0, max(x.shape[axis] - 1, 0)), axis)


def scatter_add(x: np.ndarray, index: np.ndarray, source: np.ndarray, axis: int) -> np.ndarray:
    """x with the cells of source added where `index` says along `axis`, without those outside: undoes `gather`."""
    y = np.array(x, order="C")
    if not (index.size and x.size):
        return y
    places = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    places[axis] = index
    flat = np.ravel_multi_index(tuple(places), x.shape, mode="clip")
    inside = (index >= 0) & (index < x.shape[axis])
    if not inside.all():
        flat, source = flat[inside], source[inside]
    if y.dtype.kind == "f":  # in float64, and faster
        y += np.bincount(flat.reshape(-1), source.reshape(-1), y.size).reshape(y.shape).astype(y.dtype)
    else:
        np.add.at(y.reshape(-1), flat.reshape(-1), source.reshape(-1))
    return y


def segment_sum(x: np.ndarray, segments: np.ndarray, count: int) -> np.ndarray:
    """The sum of the rows of x [n, ...] that have each number below `count` in segments [n]."""
    return combine_segments(np.add, x, segments, np.zeros((count, *x.shape[1:]), x.dtype))


def segment_max(x: np.ndarray, segments: np.ndarray, count: int) -> np.ndarray:
    """The largest of the rows of x [n, ...] that have each number below `count` in segments [n]."""
    lowest = np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -np.inf
    return combine_segments(np.maximum, x, segments, np.full((count, *x.shape[1:]), lowest, x.dtype))


def combine_segments(combine: np.ufunc, x: np.ndarray, segments: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Write `combine` of the rows of each segment into y [count, ...]."""
    order = np.argsort(segments, kind="stable")
    order = order[(segments[order] >= 0) & (segments[order] < len(y))]
    if order.size:
        numbers, starts = np.unique(segments[order], return_index=True)
        y[numbers] = combine.reduceat(x[order], starts, axis=0)
    return y
