"""Quantization by other formulas: Python's own numbers, rounded to float32 by hand."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from tests.ir.apply import Array


def steps(x: float, scale: float) -> float:
    """Half to even of `x * (1 / scale)`; Python rounds fractions so. NaN is no step."""
    with np.errstate(all="ignore"):
        product = np.float32(x) * (np.float32(1) / np.float32(scale))
    if np.isnan(product):
        return 0
    return float(product) if np.isinf(product) else round(Fraction(float(product)))


def fake_quantize(
    x: Array,
    scale: Array,
    zero: Array | int = 0,
    bits: int = 8,
    signed: bool = True,
    narrow: bool = False,
    **learning: Any,
) -> Array:
    levels = list(range(2**bits)) if bits < 2 else None
    lo = -(2 ** (bits - 1)) + narrow if signed else 0
    hi = (lo + 2**bits - 1 - narrow) if levels is None else max(levels)

    def one(x: float, scale: float, zero: int) -> float:
        return x if np.isnan(x) else (min(max(steps(x, scale) + zero, lo), hi) - zero) * scale

    return np.vectorize(one, otypes=[float])(x, scale, zero)


QUANTIZED: dict[str, Callable[..., Any]] = {
    "fake_quantize": fake_quantize,
    "dequantize": lambda q, scale, zero=0: (q.astype(np.int64) - zero) * scale,
}
