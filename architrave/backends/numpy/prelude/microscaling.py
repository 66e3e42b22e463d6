"""Groups of numbers that share a power of two."""

from __future__ import annotations

import numpy as np

from architrave.backends.numpy.prelude.mantissa import power_of_two
from architrave.backends.numpy.prelude.minifloat import round_minifloat


def round_mx(
    x: np.ndarray, axis: int, group: int, exponent: int, mantissa: int, least: float, largest: float
) -> np.ndarray:
    """x as multiples of a power of two that each group along the axis shares; that of its largest is exponent."""
    rows = np.moveaxis(x, axis, -1)
    groups = rows.reshape(*rows.shape[:-1], rows.shape[-1] // group, group).astype(np.float32)
    powers = power_of_two(np.abs(groups).max(-1, keepdims=True), 0)
    scale = np.maximum(powers * 2.0**-exponent, np.float32(2.0**-110))
    y = round_minifloat(groups / scale, mantissa, least, largest, largest) * scale
    return np.moveaxis(y.reshape(rows.shape), -1, axis).astype(x.dtype)
