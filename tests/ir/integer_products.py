"""Contractions of integers by other formulas: sums of 64 bits, cut to 32, and Python's own fractions."""

import itertools
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from tests.ir.apply import Array


def cut(x: Array) -> Array:
    """What is left of 64 bits in 32."""
    return (np.asarray(x) + 2**31) % 2**32 - 2**31


def matmul_integer(a: Array, b: Array, a_zero: Array | int = 0, b_zero: Array | int = 0) -> Array:
    return cut(np.matmul(a.astype(np.int64) - a_zero, b.astype(np.int64) - b_zero))


def conv_integer(
    x: Array,
    w: Array,
    zero: Array | int = 0,
    bias: Array | int = 0,
    stride: Sequence[int] = (),
    padding: Sequence[Sequence[int]] = (),
    dilation: Sequence[int] = (),
    groups: int = 1,
) -> Array:
    """One cell of the kernel after the other."""
    rank = x.ndim - 2
    stride, dilation, padding = stride or (1,) * rank, dilation or (1,) * rank, padding or ((0, 0),) * rank
    x = np.pad(x.astype(np.int64) - zero, ((0, 0), (0, 0), *padding))
    spans = zip(x.shape[2:], w.shape[2:], stride, dilation, strict=True)
    size = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in spans]
    y = np.zeros((len(x), len(w), *size), np.int64)
    share, width = len(w) // groups, w.shape[1]
    for tap in itertools.product(*map(range, w.shape[2:])):
        cells = (
            slice(t * d, t * d + (m - 1) * s + 1, s) for t, d, m, s in zip(tap, dilation, size, stride, strict=True)
        )
        seen = x[(..., *cells)]
        for group in range(groups):
            out, into = slice(group * share, (group + 1) * share), slice(group * width, (group + 1) * width)
            y[:, out] += np.einsum("oc,nc...->no...", w[(out, slice(None), *tap)].astype(np.int64), seen[:, into])
    return cut(y + np.reshape(bias, (-1, *(1,) * rank)))


def requantize(
    acc: Array, multiplier: Array, shift: Array, zero: Array | int = 0, bits: int = 8, signed: bool = True
) -> Array:
    lo = -(2 ** (bits - 1)) if signed else 0

    def one(acc: int, multiplier: int, shift: int, zero: int) -> int:
        return min(max(round(Fraction(int(acc) * int(multiplier), 2 ** int(shift))) + zero, lo), lo + 2**bits - 1)

    return np.vectorize(one, otypes=[int])(acc, multiplier, shift, zero)


def fixed_point(scale: Array) -> tuple[Array, Array]:
    def one(scale: float) -> tuple[int, int]:
        if not 2.0**-32 <= scale < math.inf:
            return 0, 0
        mantissa, exponent = math.frexp(scale)
        return (2**31 - 1, 0) if exponent > 31 else (int(mantissa * 2**31), 31 - exponent)

    found = np.vectorize(one, otypes=[int, int])(scale.astype(np.float32))
    return found[0], found[1]


INTEGER_PRODUCTS: dict[str, Callable[..., Any]] = {
    "linear_integer": lambda x, w, zero=0, bias=0: cut(matmul_integer(x, w.T, zero) + bias),
    "matmul_integer": matmul_integer,
    "conv_integer": conv_integer,
    "fixed_point": fixed_point,
}
