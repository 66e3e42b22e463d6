"""From sums of integers back to few bits."""

from __future__ import annotations

from typing import Any

import numpy as np

PART = 1 << 16
"""How many sums are multiplied at a time, so that the products stay near the processor."""


def requantize(
    acc: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    zero: np.ndarray | int = 0,
    *,
    lo: int,
    hi: int,
    dtype: type,
) -> np.ndarray:
    """`acc * multiplier / 2**shift`, half to even, plus zero: from lo to hi."""
    y: np.ndarray[Any, Any] = np.empty_like(acc, dtype=dtype)
    if acc.size == 0:
        return y
    if acc.ndim == 0 or max(-int(acc.min()), int(acc.max())) > 2**29 or (multiplier & 127).any():
        y[...] = np.clip(rounded_product(acc, multiplier, shift) + zero, lo, hi)
        return y
    # Of sums of 30 bits and multipliers of 24, float64 holds every product.
    factor = np.ldexp(multiplier.astype(np.float64), -shift)
    outer = max(range(acc.ndim), key=lambda axis: (acc.shape[axis] > 1, acc.strides[axis]))
    views = [np.moveaxis(np.broadcast_to(v, acc.shape), outer, 0) for v in (acc, factor, zero)]
    parts, rows = np.moveaxis(y, outer, 0), max(PART * acc.shape[outer] // acc.size, 1)
    product = np.empty((rows, *parts.shape[1:]))
    for start in range(0, len(parts), rows):
        total, times, plus = (v[start : start + rows] for v in views)
        steps = np.multiply(total, times, out=product[: len(total)])
        np.rint(steps, out=steps)
        np.add(steps, plus, out=steps)
        parts[start : start + rows] = np.clip(steps, lo, hi, out=steps)
    return y


def rounded_product(acc: np.ndarray, multiplier: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """`acc * multiplier / 2**shift`, half to even, as int64: a little less than half is added, or half to odd ones."""
    exact, shift = acc.astype(np.int64) * multiplier, shift.astype(np.int64)
    half = (np.int64(1) << shift) >> 1
    odd = (exact >> shift) & np.minimum(half, 1)
    return (exact + odd + np.maximum(half - 1, 0)) >> shift
