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
) -> torch.Tensor:
    """What is left of x when it is held in integers from lo to hi; NaN stays.

    The gradient by x goes straight through between the bounds; that by scale is what rounding adds to a step.
    """
    steps = quantize(x.detach(), scale.detach(), zero, lo=-(2**23), hi=2**23 - 1, dtype=torch.int32)
    y = (steps.clamp(lo, hi) - zero).to(x.dtype) * scale.to(x.dtype)
    exact = x - (x / scale).detach() * scale
    through = torch.where((steps >= lo) & (steps <= hi), exact, 0)
    return y + (through - through.detach())
