"""Contractions of the integers of quantized networks: exact in floats, which BLAS multiplies."""

from __future__ import annotations

import numpy as np

from architrave.backends.numpy.prelude.conv import convolve


def linear_integer(x: np.ndarray, weight: np.ndarray, zero: np.ndarray | int = 0) -> np.ndarray:
    """`(x - zero) @ weight.T` of integers of eight bits x [..., I] and weight [O, I], as int32."""
    return matmul_integer(x, weight.T, zero)


def matmul_integer(
    a: np.ndarray, b: np.ndarray, a_zero: np.ndarray | int = 0, b_zero: np.ndarray | int = 0
) -> np.ndarray:
    """`(a - a_zero) @ (b - b_zero)` of integers of eight bits, as int32."""
    return wrapped((a.astype(np.float64) - a_zero) @ (b.astype(np.float64) - b_zero))


def convolve_integer(
    x: np.ndarray,
    weight: np.ndarray,
    zero: np.ndarray | int = 0,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> np.ndarray:
    """Cross-correlation of x [N, C, *spatial] - zero with weight [out, C / groups, *kernel], as int32."""
    x, weight = x.astype(np.float64) - zero, weight.astype(np.float64)
    return wrapped(convolve(x, weight, stride=stride, padding=padding, dilation=dilation, groups=groups))


def wrapped(total: np.ndarray) -> np.ndarray:
    """Whole numbers as int32, around which they wrap."""
    return np.asarray(total).astype(np.int64).astype(np.int32)


def requantize(
    acc: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    zero: np.ndarray | int = 0,
    *,
    lo: int,
    hi: int,
    dtype: type,
) -> np.ndarray:
    """`acc * multiplier / 2**shift`, half to even, plus zero: from lo to hi."""
    exact, shift = acc.astype(np.int64) * multiplier, shift.astype(np.int64)
    below = exact >> shift
    rest = exact - (below << shift)
    steps = below + (2 * rest + (below & 1) > np.int64(1) << shift) + zero
    return np.clip(steps, lo, hi).astype(dtype)
