"""Integers that stand for evenly spaced numbers."""

# pyright: reportUnknownVariableType=false

from __future__ import annotations

import numpy as np


def quantize(
    x: np.ndarray,
    scale: np.ndarray,
    zero: np.ndarray | int = 0,
    *,
    lo: int,
    hi: int,
    dtype: type,
) -> np.ndarray:
    """The steps of scale that x is, half to even, plus zero. NaN is none.

    Reciprocal and product are float32, so that every backend rounds alike.
    """
    steps = np.rint(x.astype(np.float32) * (np.float32(1) / scale.astype(np.float32)))
    steps = np.where(np.isnan(steps), np.float32(0), steps) + np.asarray(zero, np.float32)
    return np.clip(steps, lo, hi).astype(dtype)


def fake_quantize(
    x: np.ndarray,
    scale: np.ndarray,
    zero: np.ndarray | int = 0,
    *,
    lo: int,
    hi: int,
    gain: float = 1.0,
    clipped_only: bool = False,
) -> np.ndarray:
    """What is left of x when it is held in integers from lo to hi; NaN stays. The rest is for gradients alone."""
    steps = quantize(x, scale, zero, lo=lo, hi=hi, dtype=np.int32) - zero
    return np.where(np.isnan(x), x, steps.astype(x.dtype) * scale.astype(x.dtype))
