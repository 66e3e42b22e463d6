"""Contractions of signs, -1 and 1, as bits: 64 products are an exclusive or, and a count."""

from __future__ import annotations

import math

import numpy as np

from architrave.backends.numpy.prelude.conv import pad_spatial, pairs, per_axis, windows

WORDS_AT_ONCE = 1 << 16  # so many words are compared at a time, to stay in the cache


def linear_binary(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`x @ weight.T` of signs: x [..., I] is true for 1 and false for -1, weight [O, I / 8] has a bit for each sign."""
    rows = np.packbits(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), axis=1, bitorder="little")
    return sign_product(rows, first_bits(weight, x.shape[-1]), x.shape[-1]).reshape(*x.shape[:-1], len(weight))


def convolve_binary(
    x: np.ndarray,
    weight: np.ndarray,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> np.ndarray:
    """Cross-correlation of signs: x [N, C, *spatial] is true for 1 and false for -1.

    weight [out, *kernel, C / groups / 8] has a bit for each sign. Padding is neither sign: it adds nothing.
    """
    kernel = weight.shape[1:-1]
    rank, channels = len(kernel), x.shape[1] // groups
    widths, window = pairs(padding, rank), (kernel, per_axis(stride, rank), per_axis(dilation, rank))
    weight, x = first_bits(weight, channels), np.moveaxis(x, 1, -1)
    bits = np.packbits(x.reshape(*x.shape[:-1], groups, channels), axis=-1, bitorder="little")
    bits = pad_spatial(bits.reshape(*x.shape[:-1], math.prod(bits.shape[-2:])), (*widths, (0, 0)))
    seen = np.moveaxis(windows(bits, *window), range(1, 1 + rank), range(1 + rank, 1 + 2 * rank))
    size, count = seen.shape[1 : 1 + rank], math.prod(kernel)
    seen = seen.reshape(len(x) * math.prod(size), count, groups, weight.shape[-1])
    y = np.empty((len(seen), groups, len(weight) // groups), np.int32)
    parts = weight.reshape(groups, len(weight) // groups, count * weight.shape[-1])
    for group, part in enumerate(parts):
        rows = seen[:, :, group].reshape(len(seen), part.shape[1])
        y[:, group] = sign_product(rows, part, count * channels)
    y = y.reshape(len(x), math.prod(size), len(weight))
    if any(map(any, widths)):
        # Bits outside are those of -1: what they add is taken back.
        outside = pad_spatial(np.zeros((1, *x.shape[1:-1], 1), np.float32), (*widths, (0, 0)), 1)
        taps = np.moveaxis(windows(outside, *window)[0, ..., 0], range(rank), range(rank, 2 * rank))
        sums = 2 * np.bitwise_count(weight).sum(-1, dtype=np.float32) - channels
        y += (taps.reshape(-1, count) @ sums.reshape(-1, count).T).astype(np.int32)
    return np.moveaxis(y.reshape(len(x), *size, len(weight)), -1, 1)


def sign_product(a: np.ndarray, b: np.ndarray, count: int) -> np.ndarray:
    """The sums of the products of each row of `count` signs of a with each of b; in both, zeros follow the bits."""
    a, b = words(a), np.ascontiguousarray(words(b).T)
    y = np.empty((len(a), b.shape[1]), np.int32)
    rows = max(WORDS_AT_ONCE // max(b.shape[1], 1), 1)
    for start in range(0, len(a), rows):
        part = a[start : start + rows]
        different = np.zeros((len(part), b.shape[1]), np.int32)
        for i, word in enumerate(b):
            different += np.bitwise_count(part[:, i : i + 1] ^ word)
        y[start : start + rows] = count - 2 * different
    return y


def first_bits(weight: np.ndarray, count: int) -> np.ndarray:
    """Bytes without the bits that come after the first `count` of the last axis."""
    return weight & np.packbits(np.ones(count, bool), bitorder="little")


def words(rows: np.ndarray) -> np.ndarray:
    """Rows of bytes as words of 64 bits, filled up with zeros."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))).view(np.uint64)
