"""Functions of small integers by other formulas: fractions and whole roots of Python's own integers."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from tests.ir.apply import Array


def nearest(a: Any, b: Any) -> Any:
    """`a / b` rounded half to even, as Python rounds fractions; 0 where `b` is not above 0."""
    return np.vectorize(lambda a, b: round(Fraction(int(a), int(b))) if b > 0 else 0, otypes=[int])(a, b)


def inverse_root(x: int) -> tuple[int, int]:
    """Of what is shifted left by an even number of bits, as long as it stays below 2**31."""
    pairs = (31 - max(x, 1).bit_length()) // 2
    root = (math.isqrt(4 * max(x, 1) << 2 * pairs) + 1) // 2
    return round(Fraction(2**30, root)), 30 - pairs


def softmax(x: Array, table: Array, mask: Any = True, axis: int = -1, bits: int = 16, levels: int = 255) -> Array:
    wide, seen = x.astype(int), np.broadcast_to(mask, x.shape)
    top = np.max(np.where(seen, wide, -999), axis, keepdims=True)
    weights = np.where(seen, table[np.clip(top - wide, 0, 255)], 0).astype(int)
    assert weights.sum(axis).max(initial=0) < 2**31
    return nearest(weights * levels, weights.sum(axis, keepdims=True))


def whole(x: Fraction | int) -> int:
    """To the nearest, what is half between two to that which leaves an even rest to the next integer above."""
    above = math.ceil(x)
    return above - round(above - Fraction(x))


def unit(row: list[Fraction], eps: int, places: int) -> list[int]:
    """A row over the root of the sum of its squares and eps, in steps of 2**-15, half to even."""
    finer = 1
    while len(row) * finer * 4 <= 2**14:
        finer *= 4
    multiplier, shift = inverse_root(whole(sum(x * x for x in row) * finer) + eps)
    shift -= int(math.log2(finer)) // 2
    steps = (Fraction(round(x * 2**places), 2**places) * multiplier * 2**15 / Fraction(2) ** shift for x in row)
    return [min(max(round(s), -(2**15)), 2**15 - 1) for s in steps]


def normalized(x: Array, eps: Array, weight: Any, bias: Any, centre: Callable[[list[int]], Any]) -> Array:
    flat = x.reshape(-1, x.shape[-1]).astype(int).tolist()
    rows = [unit([Fraction(v) - centre(row) for v in row], int(eps), 16) for row in flat]
    return np.array(rows, int).reshape(x.shape) * np.int64(weight) + bias


def layer_norm(x: Array, eps: Array, weight: Any = 1, bias: Any = 0) -> Array:
    return normalized(x, eps, weight, bias, lambda row: Fraction(sum(row), len(row)))


def rms_norm(x: Array, eps: Array, weight: Any = 1, zero: Any = 0) -> Array:
    return normalized(x, eps, weight, 0, lambda row: int(zero))


def mean(x: Array, zero: Any = 0, axes: tuple[int, ...] | None = None, keep: bool = False) -> Array:
    axes = tuple(range(x.ndim)) if axes is None else axes
    count = math.prod(x.shape[i] for i in axes)
    return nearest((x.astype(int) - zero).sum(axis=axes, keepdims=keep) * 256, count)


def average_pool(
    x: Array, zero: Any = 0, kernel: Any = (), stride: Any = (), padding: Any = (), **options: bool
) -> Array:
    rank = len(kernel)
    lead, stride, padding = x.ndim - rank, stride or kernel, padding or ((0, 0),) * rank
    pad = [(0, 0)] * lead + list(padding)
    sums, counts = (np.pad(v, pad) for v in (x.astype(int) - zero, np.ones(x.shape, int)))
    if options.get("count_padding", True):
        counts = np.ones_like(counts)
    places = [range(0, size - k + 1, s) for size, k, s in zip(sums.shape[lead:], kernel, stride, strict=True)]
    result = np.zeros((*x.shape[:lead], *map(len, places)), int)
    for at in np.ndindex(*map(len, places)):
        window = (..., *(slice(p[i], p[i] + k) for p, i, k in zip(places, at, kernel, strict=True)))
        axes = tuple(range(lead, x.ndim))
        result[(..., *at)] = nearest(sums[window].sum(axes) * 256, counts[window].sum(axes))
    return result


INTEGER_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "lookup": lambda x, table: table[x.astype(int) - np.iinfo(x.dtype).min],
    "softmax_integer": softmax,
    "rsqrt_integer": lambda x: tuple(
        np.array([inverse_root(int(v)) for v in x.flat], int).reshape(-1, 2).T.reshape(2, *x.shape)
    ),
    "layer_norm_integer": layer_norm,
    "rms_norm_integer": rms_norm,
    "mean_integer": mean,
    "average_pool_integer": average_pool,
    "add_integer": lambda a, b, by_a, by_b, bias=0: a * np.int64(by_a) + b * np.int64(by_b) + bias,
}
