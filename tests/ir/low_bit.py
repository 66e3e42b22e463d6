"""Contractions of operands of few bits by other formulas: bytes taken apart as text."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from tests.ir.apply import Array


def integers(byte: int, bits: int, signed: bool) -> list[int]:
    """The integers in a byte, the one in the low bits first."""
    text = format(byte % 256, "08b")
    found = [int(text[end - bits : end], 2) for end in range(8, 0, -bits)]
    return [n - 2**bits if signed and n >= 2 ** (bits - 1) else n for n in found]


def linear_weight_only(
    x: Array, codes: Array, scale: Array, zero: Array | None = None, bits: int = 4, signed: bool = True
) -> Array:
    rows = np.array([n for byte in codes.reshape(-1) for n in integers(int(byte), bits, signed)], float)
    rows = rows.reshape(len(codes), codes.shape[1] * 8 // bits)
    group = rows.shape[1] // scale.shape[1]
    offset = 0 if zero is None else zero.repeat(group, axis=1)
    return np.tensordot(x, (rows - offset) * scale.repeat(group, axis=1), axes=([-1], [1]))


def linear_binary(x: Array, weight: Array) -> Array:
    return np.where(x, 1, -1) @ signs(weight, x.shape[-1]).T


def conv_binary(
    x: Array, weight: Array, stride: Any = (), padding: Any = (), dilation: Any = (), groups: int = 1
) -> Array:
    """Tap after tap, into a result of zeros."""
    rank, channels = x.ndim - 2, x.shape[1] // groups
    stride, dilation = stride or (1,) * rank, dilation or (1,) * rank
    padding = padding or ((0, 0),) * rank
    kernel = np.moveaxis(signs(weight, channels), -1, 1)
    x = np.pad(np.where(x, 1, -1), ((0, 0), (0, 0), *padding))
    axes = zip(x.shape[2:], kernel.shape[2:], stride, dilation, strict=True)
    size = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in axes]
    y = np.zeros((len(x), len(kernel), *size), int)
    for o, tap in product(range(len(kernel)), product(*map(range, kernel.shape[2:]))):
        first = o * groups // len(kernel) * channels
        cells = (slice(t * d, t * d + n * s, s) for t, d, s, n in zip(tap, dilation, stride, size, strict=True))
        seen = x[(slice(None), slice(first, first + channels), *cells)]
        y[:, o] += np.tensordot(seen, kernel[o][(slice(None), *tap)], axes=([1], [0]))
    return y


def signs(weight: Array, count: int) -> Array:
    """The first signs that the bits in bytes stand for."""
    bits = [n for byte in weight.reshape(-1) for n in integers(int(byte), 1, False)]
    return 2 * np.array(bits, int).reshape(*weight.shape[:-1], 8 * weight.shape[-1])[..., :count] - 1


LOW_BIT: dict[str, Callable[..., Array]] = {
    "linear_weight_only": linear_weight_only,
    "linear_binary": linear_binary,
    "conv_binary": conv_binary,
}
