"""Floats of four to eight bits."""

# pyright: reportUnknownVariableType=false

from __future__ import annotations

import numpy as np

from architrave.backends.numpy.prelude.mantissa import power_of_two


def round_minifloat(x: np.ndarray, mantissa: int, least: float, largest: float, beyond: float) -> np.ndarray:
    """The nearest numbers of a format, half to even; beyond stands for what is larger than the largest.

    Between two powers of two from the least on, numbers are evenly spaced.
    """
    size = np.minimum(np.abs(x.astype(np.float32)), 2 * largest)
    step = np.maximum(power_of_two(size, 0), least) * 2.0**-mantissa
    y = np.rint(size / step) * step
    y = np.where(y > largest, beyond, y)
    return np.copysign(y, x).astype(x.dtype)


def to_minifloat(x: np.ndarray, mantissa: int, least: int, top: int, sign: int, nan: int) -> np.ndarray:
    """The codes of the nearest numbers, half to even: those up to top ascend. 2 ** least is the least normal number."""
    x = x.astype(np.float32)
    size = np.fmin(np.abs(x), 2.0**17)  # larger than any number
    power = np.maximum(power_of_two(size, 0), np.float32(2.0**least))
    steps = np.rint(size / power * 2.0**mantissa).astype(np.int32)
    code = steps + ((power.view(np.int32) >> 23) - (127 + least) << mantissa)
    code = np.minimum(code, top) | np.signbit(x) * sign
    return np.where(np.isnan(x), nan, code).astype(np.uint8)


def from_minifloat(
    codes: np.ndarray, mantissa: int, least: int, top: int, sign: int, beyond: float | None, dtype: type
) -> np.ndarray:
    """The numbers that codes stand for; beyond is what the one after top does."""
    size = (codes & sign - 1).astype(np.int32)
    power = np.maximum(size >> mantissa, 1)
    steps = size - (power - 1 << mantissa)
    y = steps.astype(np.float32) * (power + (126 + least - mantissa) << 23).view(np.float32)
    if beyond is not None:
        y = np.where(size > top, np.where(size == top + 1, beyond, np.nan), y)
    return np.asarray(np.where((codes & sign) != 0, -y, y), dtype)
