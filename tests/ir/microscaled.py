"""MX formats by another formula: one group after another, in Python's own numbers."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from tests.ir.apply import Array

ELEMENTS = {
    "e4m3": (-6, 3, 448.0),
    "e5m2": (-14, 2, 57344.0),
    "e3m2": (-2, 2, 28.0),
    "e2m3": (0, 3, 7.5),
    "e2m1": (0, 1, 6.0),
    "int8": (1, 7, 127 / 64),
}
"""The least exponent, the bits of the mantissa, and the largest number."""


def exponent(x: float) -> int:
    return math.frexp(x)[1] - 1


def scale_of(group: Array, format: str) -> float:
    largest = max(map(abs, group)) if not np.isnan(group).any() else math.nan
    if not math.isfinite(largest):
        return largest
    if largest == 0:
        return 2.0**-110
    return max(2.0 ** (exponent(largest) - exponent(ELEMENTS[format][2])), 2.0**-110)


def rounded(x: float, format: str) -> float:
    if not math.isfinite(x):
        return math.nan
    least, mantissa, largest = ELEMENTS[format]
    step = Fraction(2) ** (max(exponent(x) if x else least, least) - mantissa)
    return math.copysign(min(float(abs(round(Fraction(x) / step)) * step), largest), x)


def mx_scale(x: Array, format: str = "e4m3", group: int = 32, axis: int = -1) -> Array:
    rows = np.moveaxis(x, axis, -1)
    groups = rows.reshape(*rows.shape[:-1], rows.shape[-1] // group, group)
    scales = np.array([scale_of(g, format) for g in groups.reshape(-1, group)]).reshape(groups.shape[:-1])
    return np.moveaxis(scales, -1, axis)


def round_mx(x: Array, format: str = "e4m3", group: int = 32, axis: int = -1) -> Array:
    scales = np.repeat(mx_scale(x, format, group, axis), group, axis)
    elements = np.array([rounded(float(v), format) for v in (x / scales).ravel()]).reshape(x.shape)
    return elements * scales


MICROSCALED: dict[str, Callable[..., Any]] = {"mx_scale": mx_scale, "round_mx": round_mx}
