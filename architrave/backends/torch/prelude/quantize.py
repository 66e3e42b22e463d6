"""Integers that stand for evenly spaced numbers."""

from __future__ import annotations

import torch


def quantize(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | int = 0,
    *,
    lo: int,
    hi: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """The steps of scale that x is, half to even, plus zero. NaN is none.

    Reciprocal and product are float32, so that every backend rounds alike.
    """
    steps = torch.round(x.float() * (1 / scale.float()))
    steps = torch.where(steps.isnan(), 0, steps) + zero
    return steps.clamp(lo, hi).to(dtype)


def fake_quantize(
    x: torch.Tensor,
    scale: torch.Tensor,
    zero: torch.Tensor | int = 0,
    *,
    lo: int,
    hi: int,
    gain: float = 1.0,
    clipped_only: bool = False,
) -> torch.Tensor:
    """What is left of x when it is held in integers from lo to hi; NaN stays.

    The gradient by x goes straight through between the bounds; that by scale is what rounding adds to a step, times
    gain. With clipped_only it is 0 between the bounds.
    """
    steps = quantize(x.detach(), scale.detach(), zero, lo=-(2**23), hi=2**23 - 1, dtype=torch.int32)
    inside = (steps >= lo) & (steps <= hi)
    fixed = scale.detach()
    if clipped_only:
        scale = torch.where(inside, fixed, scale)
    if gain != 1:
        scale = fixed + (scale - fixed) * gain
    y = (steps.clamp(lo, hi) - zero).to(x.dtype) * scale.to(x.dtype)
    exact = x if clipped_only else x - (x / fixed).detach() * scale
    through = torch.where(inside, exact, 0)
    return y + (through - through.detach())
