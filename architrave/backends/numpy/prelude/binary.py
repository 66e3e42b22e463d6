"""Numbers of one bit."""

from __future__ import annotations

import numpy as np


def binarize(x: np.ndarray, surrogate: np.ndarray | None = None) -> np.ndarray:
    """1 where x is at least 0, else -1; the surrogate is for gradients alone."""
    return np.where(x >= 0, 1, -1).astype(x.dtype)
