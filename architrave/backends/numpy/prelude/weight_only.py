"""Linear layers whose weight is held in few bits."""

from __future__ import annotations

import math

import numpy as np

from architrave.backends.numpy.prelude.packing import unpack

WEIGHTS_AT_ONCE = 1 << 20  # so many weights are floats at a time


def linear_weight_only(
    x: np.ndarray,
    codes: np.ndarray,
    scale: np.ndarray,
    zero: np.ndarray | None = None,
    *,
    bits: int,
    signed: bool,
) -> np.ndarray:
    """x [..., I] times the transpose of a weight [O, I] held as codes, scale [O, G] and zero [O, G].

    The weight is never there as a whole, but some rows at a time.
    """
    inputs = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = np.empty((len(inputs), len(codes)), np.result_type(x, scale))
    rows = max(WEIGHTS_AT_ONCE // max(x.shape[-1], 1), 1)
    for start in range(0, len(codes), rows):
        part = slice(start, start + rows)
        weight = decoded(codes[part], scale[part], None if zero is None else zero[part], bits, signed)
        y[:, part] = inputs @ weight.T
    return y.reshape(*x.shape[:-1], len(codes))


def decoded(codes: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, bits: int, signed: bool) -> np.ndarray:
    """The weight [O, I] that codes stand for."""
    steps = codes if bits == 8 else unpack(codes, bits, np.int8 if signed else np.uint8)
    weight = steps.astype(scale.dtype)
    grouped = weight.reshape(*scale.shape, weight.shape[1] // scale.shape[1])
    if zero is not None:
        grouped -= zero[..., None]
    grouped *= scale[..., None]
    return weight
