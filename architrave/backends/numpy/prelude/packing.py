"""Integers of few bits in bytes."""

from __future__ import annotations

import numpy as np


def pack(x: np.ndarray, bits: int) -> np.ndarray:
    """Integers of few bits as bytes; the first of those in a byte has its lowest bits."""
    digits = x.view(np.uint8) & (1 << bits) - 1
    packed = digits[..., :: 8 // bits]
    for i in range(1, 8 // bits):
        packed = packed | digits[..., i :: 8 // bits] << bits * i
    return packed


def unpack(x: np.ndarray, bits: int, dtype: type) -> np.ndarray:
    """The integers of few bits in bytes; an i8 has their sign."""
    # Up to the end of the byte and back: that brings in the sign.
    digits = [x.view(dtype) << 8 - end >> 8 - bits for end in range(bits, 9, bits)]
    return np.stack(digits, -1).reshape(*x.shape[:-1], x.shape[-1] * (8 // bits))
