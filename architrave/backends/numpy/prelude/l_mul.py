"""Products by additions of bits."""

# pyright: reportUnknownVariableType=false

from __future__ import annotations

import math

import numpy as np

from architrave.backends.numpy.prelude.mantissa import round_mantissa

PRODUCTS_AT_ONCE = 1 << 20
"""About how many products are there at a time."""


def l_mul(a: np.ndarray, b: np.ndarray, mantissa: int, offset: int, dtype: type) -> np.ndarray:
    """About a * b, by adding bits of float32."""
    return added(a, b, mantissa, offset).astype(dtype)


def added(a: np.ndarray, b: np.ndarray, mantissa: int, offset: int) -> np.ndarray:
    """The float32 whose bits are the sum of two numbers' bits and an offset. What is not a normal number is 0."""
    x, y = (round_mantissa(v.astype(np.float32), mantissa, True).view(np.int32) for v in (a, b))
    least, infinity, nan, sign = 0x00800000, 0x7F800000, 0x7FC00000, -0x80000000
    low, high = np.minimum(x & ~sign, y & ~sign), np.maximum(x & ~sign, y & ~sign)
    first = high + offset
    total = first + np.minimum(low, infinity - np.maximum(first, 0))  # not beyond infinity
    total = np.where((low < least) | (total < least), 0, total)
    total = np.where(high < infinity, total, np.where(low < least, nan, high))
    return ((x ^ y) & sign | total).view(np.float32)


def l_mul_matmul(a: np.ndarray, b: np.ndarray, mantissa: int, offset: int, dtype: type) -> np.ndarray:
    """a [..., M, K] times b [..., K, N] by l_mul, added in float32; some rows at a time."""
    row = math.prod(np.broadcast_shapes((*a.shape[:-2], 1, 1), b.shape))
    rows = max(PRODUCTS_AT_ONCE // max(row, 1), 1)
    left, right = a[..., :, None], b[..., None, :, :]
    parts = [
        summed(added(left[..., start : start + rows, :, :], right, mantissa, offset))
        for start in range(0, max(a.shape[-2], 1), rows)
    ]
    return np.concatenate(parts, -2).astype(dtype)


def summed(x: np.ndarray) -> np.ndarray:
    """The sum along the last axis but one: the first half plus the second, again and again, as on every backend."""
    while x.shape[-2] > 1:
        half = x.shape[-2] // 2
        x = np.concatenate([x[..., :half, :] + x[..., half : 2 * half, :], x[..., 2 * half :, :]], -2)
    return x[..., 0, :]
