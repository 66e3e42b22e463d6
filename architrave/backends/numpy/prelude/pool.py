"""Pooling over the last axes, one axis after the other, by combining shifted slices: no loop runs over positions."""

from __future__ import annotations

import math

import numpy as np

from architrave.backends.numpy.prelude.conv import pad_spatial, pairs, per_axis


def max_pool(
    x: np.ndarray,
    kernel: tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> np.ndarray:
    """The largest value of each window over the last axes of x; padding is never chosen."""
    lowest = np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -math.inf
    rank = len(kernel)
    x = pad_spatial(x, pairs(padding, rank), lowest)
    return combine_windows(np.maximum, x, kernel, per_axis(stride, rank), per_axis(dilation, rank))


def max_pool_places(
    x: np.ndarray,
    kernel: tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> np.ndarray:
    """Where `max_pool` finds its values, the first of equals: places in the plane of the last axes, row by row."""
    rank, plane = len(kernel), x.shape[x.ndim - len(kernel) :]
    inside = np.broadcast_to(np.arange(math.prod(plane)).reshape(plane), x.shape)
    y, places = pad_spatial(x, pairs(padding, rank)), pad_spatial(inside, pairs(padding, rank), -1)
    steps = zip(range(x.ndim - rank, x.ndim), kernel, per_axis(stride, rank), per_axis(dilation, rank))
    # The last axis first: of equals in one window the one in the first row counts, and in it the first.
    for axis, k, s, d in reversed(list(steps)):
        taps = window_taps(y.shape[axis], axis, k, s, d)
        best, best_places = y[taps[0]], places[taps[0]]
        for tap in taps[1:]:
            z, z_places = y[tap], places[tap]
            larger = ~(z <= best) & (best == best) | (best_places < 0)
            best = np.where(larger & (z_places >= 0), z, best)
            best_places = np.where(larger & (z_places >= 0), z_places, best_places)
        y, places = best, best_places
    return np.array(places)


def avg_pool(
    x: np.ndarray,
    kernel: tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: int | tuple[tuple[int, int], ...] = 0,
    count_padding: bool = True,
) -> np.ndarray:
    """The mean of each window over the last axes of x; with `count_padding`, padding is zeros that count."""
    rank = len(kernel)
    stride, steps, around = per_axis(stride, rank), (1,) * rank, pairs(padding, rank)
    total = combine_windows(np.add, pad_spatial(x, around), kernel, stride, steps)
    if count_padding or padding == 0:
        return np.divide(total, math.prod(kernel), dtype=x.dtype)
    inside = np.ones(x.shape[x.ndim - len(kernel) :], x.dtype)
    return np.divide(total, combine_windows(np.add, pad_spatial(inside, around), kernel, stride, steps))


def combine_windows(
    combine: np.ufunc, x: np.ndarray, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> np.ndarray:
    """`combine` over the cells of each window over the last axes of x."""
    for axis, k, s, d in zip(range(x.ndim - len(kernel), x.ndim), kernel, stride, dilation):
        taps = window_taps(x.shape[axis], axis, k, s, d)
        y = x[taps[0]].copy()
        for tap in taps[1:]:
            combine(y, x[tap], out=y)
        x = y
    return x


def window_taps(size: int, axis: int, k: int, stride: int, dilation: int) -> list[tuple[slice, ...]]:
    """For each of the k cells of a window along `axis`, where it lies in every position."""
    reach = (size - dilation * (k - 1) - 1) // stride * stride + 1
    return [(slice(None),) * axis + (slice(t * dilation, t * dilation + reach, stride),) for t in range(k)]
