"""Integers of few bits in bytes."""

from __future__ import annotations

import torch


def pack(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Integers of few bits as bytes; the first of those in a byte has its lowest bits."""
    digits = x.view(torch.uint8) & (1 << bits) - 1
    packed = digits[..., :: 8 // bits]
    for i in range(1, 8 // bits):
        packed = packed | digits[..., i :: 8 // bits] << bits * i
    return packed


def unpack(x: torch.Tensor, bits: int, dtype: torch.dtype) -> torch.Tensor:
    """The integers of few bits in bytes; an i8 has their sign."""
    # Up to the end of the byte and back: that brings in the sign.
    digits = [x.view(dtype) << 8 - end >> 8 - bits for end in range(bits, 9, bits)]
    return torch.stack(digits, -1).flatten(-2)
