"""Floats with fewer bits in their mantissa, by the bits of float32."""

from __future__ import annotations

import torch


def power_of_two(x: torch.Tensor, offset: int) -> torch.Tensor:
    """The power of two below x, or above it where its bits and offset are more than the next one's; NaN stays."""
    bits = x.float().view(torch.int32)
    y = (bits + offset & -(1 << 23)).view(torch.float32)
    y = torch.where(x.isnan(), x, y.to(x.dtype))
    return straight_through(y, x, x.isfinite())


def round_mantissa(x: torch.Tensor, bits: int, half: bool) -> torch.Tensor:
    """x with as many bits in its mantissa, half to even or else towards zero; NaN stays."""
    word, lost = x.float().view(torch.int32), 23 - bits
    if half and lost:
        word = word + (word >> lost & 1) + ((1 << lost - 1) - 1)
    y = (word >> lost << lost).view(torch.float32)
    y = torch.where(x.isnan(), x, y.to(x.dtype))
    return straight_through(y, x, x.isfinite())


def straight_through(y: torch.Tensor, x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """y, with the gradient of x where inside. A difference keeps the sign of zeros."""
    through = torch.where(inside, x, 0)
    return y.detach() - (through.detach() - through)
