"""Pooling over the last axes, one axis after the other, by combining shifted slices: no loop runs over positions."""

from __future__ import annotations

import math

import numpy as np

from architrave.backends.numpy.prelude.conv import pad_spatial


def max_pool(
    x: np.ndarray,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...] = (),
    dilation: tuple[int, ...] = (),
) -> np.ndarray:
    """The largest value of each window over the last axes of x; padding is never chosen."""
    lowest = np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -math.inf
    return combine_windows(np.maximum, pad_spatial(x, padding, lowest), kernel, stride, dilation or (1,) * len(kernel))


def avg_pool(
    x: np.ndarray,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...] = (),
    count_padding: bool = True,
) -> np.ndarray:
    """The mean of each window over the last axes of x; with `count_padding`, padding is zeros that count."""
    steps = (1,) * len(kernel)
    total = combine_windows(np.add, pad_spatial(x, padding), kernel, stride, steps)
    if count_padding or not padding:
        return np.divide(total, math.prod(kernel), dtype=x.dtype)
    inside = np.ones(x.shape[x.ndim - len(kernel) :], x.dtype)
    return np.divide(total, combine_windows(np.add, pad_spatial(inside, padding), kernel, stride, steps))


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
