"""Floats with fewer bits in their mantissa, by the bits of float32."""

from __future__ import annotations

import numpy as np


def power_of_two(x: np.ndarray, offset: int) -> np.ndarray:
    """The power of two below x, or above it where its bits and offset are more than the next one's; NaN stays."""
    bits = x.astype(np.float32).view(np.int32)
    y = (bits + offset & -(1 << 23)).view(np.float32)
    return np.where(np.isnan(x), x, y).astype(x.dtype)


def round_mantissa(x: np.ndarray, bits: int, half: bool) -> np.ndarray:
    """x with as many bits in its mantissa, half to even or else towards zero; NaN stays."""
    word, lost = x.astype(np.float32).view(np.int32), 23 - bits
    if half and lost:
        word = word + (word >> lost & 1) + ((1 << lost - 1) - 1)
    y = (word >> lost << lost).view(np.float32)
    return np.where(np.isnan(x), x, y).astype(x.dtype)
