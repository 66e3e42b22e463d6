"""Contractions of operands of few bits by other formulas: bytes taken apart as text."""

from collections.abc import Callable

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
    rows = np.array([[n for byte in row for n in integers(int(byte), bits, signed)] for row in codes], float)
    group = rows.shape[1] // scale.shape[1]
    offset = 0 if zero is None else zero.repeat(group, axis=1)
    return np.tensordot(x, (rows - offset) * scale.repeat(group, axis=1), axes=([-1], [1]))


LOW_BIT: dict[str, Callable[..., Array]] = {"linear_weight_only": linear_weight_only}
