"""Pooling over the last axes, one axis after the other, by combining shifted slices: no loop runs over positions."""

from __future__ import annotations

import itertools
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
    rank, lead = len(kernel), (slice(None),) * (x.ndim - len(kernel))
    stride, dilation, around = per_axis(stride, rank), per_axis(dilation, rank), pairs(padding, rank)
    plane = x.shape[x.ndim - rank :]
    largest = max_pool(x, kernel, stride, padding, dilation)
    x = pad_spatial(x, around)
    numbers = pad_spatial(np.arange(math.prod(plane)).reshape(plane), around, -1)
    axes = [window_taps(m, 0, k, s, d) for m, k, s, d in zip(numbers.shape, kernel, stride, dilation)]
    taps = [tuple(cells for (cells,) in tap) for tap in itertools.product(*axes)]
    holds_nan = bool(np.any(largest != largest))
    chosen = np.zeros(largest.shape, np.min_scalar_type(len(taps)))
    for number, tap in reversed(list(enumerate(taps))):
        cells = x[lead + tap]
        found = cells == largest
        if holds_nan:
            found |= cells != cells
        if padding != 0:
            found &= numbers[tap] >= 0
        np.copyto(chosen, number, where=found)
    positions = np.stack([numbers[tap] for tap in taps])
    return positions[(chosen, *np.ogrid[tuple(map(slice, positions.shape[1:]))])]


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
