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
        reach = (x.shape[axis] - d * (k - 1) - 1) // s * s + 1
        taps = [(slice(None),) * axis + (slice(t * d, t * d + reach, s),) for t in range(k)]
        y = x[taps[0]].copy()
        for tap in taps[1:]:
            combine(y, x[tap], out=y)
        x = y
    return x
