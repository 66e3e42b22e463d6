"""Interpolation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def resize(x: jax.Array, size: tuple[int, ...], mode: str = "nearest") -> jax.Array:
    """The last axes of x interpolated to `size`, with half-pixel centres: "nearest", "linear" or "cubic" (a = -3/4)."""
    for axis, m in enumerate(size, x.ndim - len(size)):
        n = x.shape[axis]
        if mode == "nearest":
            x = jnp.take(x, (2 * np.arange(m) + 1) * n // (2 * m), axis)
            continue
        cells, weights = interpolation(n, m, mode)
        along = (-1, *(1,) * (x.ndim - 1 - axis))
        parts = [jnp.take(x, c, axis) * w.astype(x.dtype).reshape(along) for c, w in zip(cells, weights)]
        x = jnp.sum(jnp.stack(parts), axis=0)
    return x


def interpolation(n: int, m: int, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Which of n cells make each of m cells, and with what weights: two arrays [taps, m].

    Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981).
    """
    position = (np.arange(m) + 0.5) * n / m - 0.5
    if mode == "linear":
        position = np.clip(position, 0, n - 1)
    first = np.floor(position)
    t = position - first
    if mode == "linear":
        offsets, weights = [0, 1], [1 - t, t]
    else:
        offsets, weights = [-1, 0, 1, 2], [cubic(t + 1), cubic(t), cubic(1 - t), cubic(2 - t)]
    cells = np.stack([np.clip(first + offset, 0, n - 1) for offset in offsets])
    return cells.astype(np.int64), np.stack(weights)


def cubic(t: np.ndarray, a: float = -0.75) -> np.ndarray:
    """The cubic kernel at distances from 0 to 2."""
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, far)
