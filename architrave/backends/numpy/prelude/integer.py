"""Contractions of the integers of quantized networks: exact in float32, which BLAS multiplies.

So few products are summed at a time that 24 bits hold the sum, and int32 holds the rest.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from architrave.backends.numpy.prelude.conv import (
    add_bias,
    correlate,
    depthwise_conv,
    examples_last,
    pad_spatial,
    pairs,
    per_axis,
)


def linear_integer(
    x: np.ndarray, weight: np.ndarray, zero: np.ndarray | int = 0, bias: np.ndarray | int = 0
) -> np.ndarray:
    """`(x - zero) @ weight.T + bias` of integers of eight bits x [..., I] and weight [O, I], as int32."""
    rows = difference(x, zero).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = exact_product(rows, weight.T, at_once=products_at_once(rows, weight))
    y += bias
    return y.reshape(*x.shape[:-1], len(weight))


def matmul_integer(
    a: np.ndarray, b: np.ndarray, a_zero: np.ndarray | int = 0, b_zero: np.ndarray | int = 0
) -> np.ndarray:
    """`(a - a_zero) @ (b - b_zero)` of integers of eight bits, as int32."""
    a, b = difference(a, a_zero), difference(b, b_zero)
    return exact_product(a, b, at_once=products_at_once(a, b))


def convolve_integer(
    x: np.ndarray,
    weight: np.ndarray,
    zero: np.ndarray | int = 0,
    bias: np.ndarray | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> np.ndarray:
    """Cross-correlation of x [N, C, *spatial] - zero with weight [out, C / groups, *kernel], plus bias, as int32."""
    x, rank = difference(x, zero), x.ndim - 2
    widths, stride, dilation = pairs(padding, rank), per_axis(stride, rank), per_axis(dilation, rank)
    at_once = products_at_once(x, weight)
    if groups > 1 and weight.shape[1] == 1 and math.prod(weight.shape[2:]) <= at_once:
        x, weight = pad_spatial(x, widths).astype(np.float32), weight.astype(np.float32)
        return add_bias(depthwise_conv(x, weight, stride, dilation).astype(np.int32), bias)
    product = partial(exact_product, at_once=at_once)
    y = correlate(examples_last(x, widths), weight, stride, dilation, groups, product)
    return add_bias(np.moveaxis(y, -1, 0), bias)


def exact_product(a: np.ndarray, b: np.ndarray, at_once: int) -> np.ndarray:
    """`a @ b` as int32, of integers `at_once` products of which are summed in float32."""
    vector = b.ndim == 1
    b = b[:, None] if vector else b
    y = multiplied(a[..., :at_once], b[..., :at_once, :])
    for start in range(at_once, a.shape[-1], at_once):
        span = slice(start, start + at_once)
        y += multiplied(a[..., span], b[..., span, :])
    return y[..., 0] if vector else y


def multiplied(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a @ b` of few integers, as int32, which take the memory of the floats."""
    y = a.astype(np.float32) @ b.astype(np.float32)
    whole = y.view(np.int32)
    np.copyto(whole, y, casting="unsafe")
    return whole


def products_at_once(a: np.ndarray, b: np.ndarray) -> int:
    """How many products of their integers have a sum within 24 bits."""
    return 2**24 // (largest(a) * largest(b))


def largest(x: np.ndarray) -> int:
    """The largest size of a byte, or of the difference between two."""
    return 128 if x.dtype == np.int8 else 255


def difference(x: np.ndarray, zero: np.ndarray | int) -> np.ndarray:
    """x - zero: an int16, but for a zero point that is 0."""
    return x if isinstance(zero, int) and zero == 0 else np.subtract(x, zero, dtype=np.int16, casting="unsafe")
