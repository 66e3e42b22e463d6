"""Complex numbers."""

from __future__ import annotations

import numpy as np


def complex_of(re: np.ndarray, im: np.ndarray) -> np.ndarray:
    """`re + i im`, where `re + 1j * im` would make NaN of an infinite part."""
    z = np.empty(np.broadcast_shapes(np.shape(re), np.shape(im)), np.result_type(re, im, np.complex64))
    z.real, z.imag = re, im
    return z
