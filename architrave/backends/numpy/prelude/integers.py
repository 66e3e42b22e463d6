"""Integers where NumPy warns, refuses or leaves open what comes out."""

from __future__ import annotations

import numpy as np


def to_integers(x: np.ndarray, dtype: type[np.integer]) -> np.ndarray:
    """x without its fractions. What `dtype` cannot hold becomes the nearest that it can, NaN 0."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    above, below = x >= float(high), x <= float(low)
    y = np.where(above | below | np.isnan(x), 0, x).astype(dtype)
    return np.where(above, high, np.where(below, low, y)).astype(dtype)


def integer_power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a ** b` of integers; with a negative b the inverse without its fraction: 0, but of 1 and -1 one of them."""
    y = a ** np.where(b < 0, b & 1, b)
    return np.where((b < 0) & (a != 1) & (a != -1), 0, y)
