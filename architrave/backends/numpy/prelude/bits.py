"""The bits of integers."""

from __future__ import annotations

import numpy as np


def shift_left(x: np.ndarray, count: np.ndarray) -> np.ndarray:
    """x with its bits moved to the left; 0 where all of them are gone."""
    inside = (count >= 0) & (count < 8 * x.itemsize)
    return np.where(inside, x << np.where(inside, count, 0).astype(x.dtype), 0)


def shift_right(x: np.ndarray, count: np.ndarray, logical: bool = False) -> np.ndarray:
    """x with its bits moved to the right; from the left comes the sign, or zeros for `logical`."""
    bits = x.view(f"u{x.itemsize}") if logical else x
    inside = (count >= 0) & (count < 8 * x.itemsize)
    shifted = bits >> np.where(inside, count, 0).astype(bits.dtype)
    return np.where(inside, shifted, np.where(bits < 0, ~np.zeros_like(bits), 0)).view(x.dtype)


def popcount(x: np.ndarray) -> np.ndarray:
    """How many bits are set: `np.bitwise_count` would count those of the absolute value."""
    return np.bitwise_count(x.view(f"u{x.itemsize}")).astype(np.int64)


def clz(x: np.ndarray) -> np.ndarray:
    """How many bits are above the highest that is set."""
    bits, step = x.view(f"u{x.itemsize}"), 1
    while step < 8 * x.itemsize:
        bits = bits | bits >> step
        step *= 2
    return 8 * x.itemsize - popcount(bits)
