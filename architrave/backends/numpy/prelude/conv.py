"""Convolutions of any rank: one matrix product with windows into the input.

Meanwhile examples come last, so that what a window sees lies in long runs. Results are views that keep this order in
memory: from one layer to the next nothing is turned around again.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

COLUMNS = 1 << 24
"""How many numbers a convolution lays out for one matrix product, at most."""


def convolve(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> np.ndarray:
    """Cross-correlation of x [N, C, *spatial] with weight [out, C / groups, *kernel]."""
    rank = x.ndim - 2
    stride, dilation = per_axis(stride, rank), per_axis(dilation, rank)
    if groups > 1 and weight.shape[1] == 1:
        return add_bias(depthwise_conv(pad_spatial(x, pairs(padding, rank)), weight, stride, dilation), bias)
    y = correlate(examples_last(x, pairs(padding, rank)), weight, stride, dilation, groups)
    return add_bias(np.moveaxis(y, -1, 0), bias)


def correlate(
    x: np.ndarray,
    weight: np.ndarray,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    product: Callable[[np.ndarray, np.ndarray], np.ndarray] = np.matmul,
) -> np.ndarray:
    """Cross-correlation of x [C, *spatial, N] with weight [out, C / groups, *kernel]: [out, *size, N]."""
    n, rank = x.shape[-1], x.ndim - 2
    size = window_count(x.shape[1:-1], weight.shape[2:], stride, dilation)
    matrix = weight.reshape(groups, len(weight) // groups, math.prod(weight.shape[1:]))
    # The columns fill kernel-size times the memory of the images: of many, a part at a time.
    most = max(COLUMNS // max(groups * matrix.shape[2] * math.prod(size), 1), 1)
    parts: list[np.ndarray] = []
    for start in range(0, max(n, 1), most):
        taps = windows(x[..., start : start + most], weight.shape[2:], stride, dilation)
        # Copied in runs along the result, or, of few large windows, along each window.
        long = rank > 0 and n * size[-1] < weight.shape[-1]
        places = np.ndindex(*size) if long else [(slice(None),) * rank]
        seen = (taps[(slice(None),) * (1 + rank) + tuple(place)] for place in places)
        cells = [product(matrix, s.reshape(groups, matrix.shape[2], math.prod(s.shape[1 + rank :]))) for s in seen]
        part = np.stack(cells, -2) if long else cells[0]
        parts.append(part.reshape(len(weight), *size, taps.shape[-1]))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, -1)


def convolve_transpose(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> np.ndarray:
    """The transpose of `convolve`: a cell of x [N, C, *spatial] adds a multiple of weight [C, out / groups, *kernel].

    `padding` is cut from the result, `output_padding` added at its end.
    """
    n, kernel, spatial = len(x), weight.shape[2:], x.shape[2:]
    rank = len(kernel)
    stride, dilation = per_axis(stride, rank), per_axis(dilation, rank)
    x = examples_last(x, ((0, 0),) * rank)
    columns = x.reshape(groups, len(x) // groups, math.prod(spatial) * n)
    taps = weight.reshape(groups, len(weight) // groups, *weight.shape[1:]).swapaxes(1, 2)
    full = [(m - 1) * s + d * (k - 1) + 1 for m, s, d, k in zip(spatial, stride, dilation, kernel)]
    full = [m + extra for m, extra in zip(full, per_axis(output_padding, rank))]
    y = np.zeros((groups * weight.shape[1], *full, n), np.result_type(x, weight))
    for tap in np.ndindex(*kernel):
        added = np.ascontiguousarray(taps[(..., *tap)]) @ columns
        y[tap_cells(tap, spatial, stride, dilation)] += added.reshape(len(y), *spatial, n)
    kept = (slice(before, m - after) for (before, after), m in zip(pairs(padding, rank), full))
    return add_bias(np.moveaxis(y[(slice(None), *kept)], -1, 0), bias)


def depthwise_conv(x: np.ndarray, weight: np.ndarray, stride: tuple[int, ...], dilation: tuple[int, ...]) -> np.ndarray:
    """Each channel of x [N, C, *spatial] with m kernels of its own, weight [C * m, 1, *kernel].

    Meanwhile channels come last, so that the innermost loop, over channels, is long and contiguous.
    """
    rank = x.ndim - 2
    x = x if len(weight) == x.shape[1] else np.repeat(x, len(weight) // x.shape[1], axis=1)
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    weight = np.ascontiguousarray(np.moveaxis(weight[:, 0], 0, -1))
    kernel, positions, channel = range(1, 1 + rank), range(1 + rank, 1 + 2 * rank), 1 + 2 * rank
    taps = windows(x, weight.shape[:-1], stride, dilation)
    y = np.einsum(taps, [0, *kernel, *positions, channel], weight, [*kernel, channel], [0, *positions, channel])
    return np.ascontiguousarray(np.moveaxis(y, -1, 1))


def examples_last(x: np.ndarray, padding: tuple[tuple[int, int], ...]) -> np.ndarray:
    """x [N, C, *spatial], padded with zeros, as [C, *spatial, N]."""
    x = np.moveaxis(x, 0, -1)
    if not any(map(any, padding)):
        return np.ascontiguousarray(x)
    return pad_spatial(x, (*padding, (0, 0)))


def windows(x: np.ndarray, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> np.ndarray:
    """A view [C, *kernel, *positions, N] of what each tap of a kernel sees in x [C, *spatial, N]."""
    size = window_count(x.shape[1:-1], kernel, stride, dilation)
    first, *steps, last = x.strides
    strides = (first, *map(math.prod, zip(steps, dilation)), *map(math.prod, zip(steps, stride)), last)
    return np.lib.stride_tricks.as_strided(x, (len(x), *kernel, *size, x.shape[-1]), strides, writeable=False)


def window_count(
    spatial: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """How many windows fit along each axis."""
    return tuple((m - d * (k - 1) - 1) // s + 1 for m, k, s, d in zip(spatial, kernel, stride, dilation))


def tap_cells(
    tap: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[slice, ...]:
    """The index into [C, *spatial, N] of the cells that one tap of a kernel sees from `size` positions."""
    cells = (slice(t * d, t * d + (m - 1) * s + 1, s) for t, m, s, d in zip(tap, size, stride, dilation))
    return (slice(None), *cells)


def pad_spatial(x: np.ndarray, padding: tuple[tuple[int, int], ...], value: float = 0) -> np.ndarray:
    """`x` with its last axes padded by (before, after); a negative width is an error."""
    if not any(map(any, padding)):
        return x
    widths = ((0, 0),) * (x.ndim - len(padding)) + padding
    padded = np.full([m + before + after for m, (before, after) in zip(x.shape, widths)], value, x.dtype)
    padded[tuple(slice(before, before + m) for m, (before, _) in zip(x.shape, widths))] = x
    return padded


def add_bias(y: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """`y` [N, C, *spatial] plus bias [C], in place."""
    if bias is not None:
        y += bias.reshape(-1, *(1,) * (y.ndim - 2))
    return y


def per_axis(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """One number for each axis."""
    return (value,) * rank if isinstance(value, int) else value


def pairs(padding: int | tuple[tuple[int, int], ...], rank: int) -> tuple[tuple[int, int], ...]:
    """A padding (before, after) for each axis."""
    return ((padding, padding),) * rank if isinstance(padding, int) else padding
