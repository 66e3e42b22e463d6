"""Floats of four to eight bits."""

from __future__ import annotations

import torch

from architrave.backends.torch.prelude.mantissa import power_of_two, straight_through


def round_minifloat(x: torch.Tensor, mantissa: int, least: float, largest: float, beyond: float) -> torch.Tensor:
    """The nearest numbers of a format, half to even; beyond stands for what is larger than the largest.

    Between two powers of two from the least on, numbers are evenly spaced. The gradient is that of
    x up to the largest.
    """
    size = x.float().abs().clamp(max=2 * largest)
    step = power_of_two(size, 0).clamp(min=least) * 2.0**-mantissa
    y = torch.round(size / step) * step
    y = torch.copysign(torch.where(y > largest, beyond, y), x).to(x.dtype)
    return straight_through(y, x, x.abs() <= largest)


def to_minifloat(x: torch.Tensor, mantissa: int, least: int, top: int, sign: int, nan: int) -> torch.Tensor:
    """The codes of the nearest numbers, half to even: those up to top ascend. 2 ** least is the least normal number."""
    x = x.float()
    size = x.abs().nan_to_num(2.0**17).clamp(max=2.0**17)  # larger than any number
    power = power_of_two(size, 0).clamp(min=2.0**least)
    steps = torch.round(size / power * 2.0**mantissa).int()
    code = steps + ((power.view(torch.int32) >> 23) - (127 + least) << mantissa)
    code = code.clamp(max=top) | torch.signbit(x) * sign
    return torch.where(torch.isnan(x), nan, code).to(torch.uint8)


def from_minifloat(
    codes: torch.Tensor, mantissa: int, least: int, top: int, sign: int, beyond: float | None, dtype: torch.dtype
) -> torch.Tensor:
    """The numbers that codes stand for; beyond is what the one after top does."""
    size = (codes & sign - 1).int()
    power = (size >> mantissa).clamp(min=1)
    steps = size - (power - 1 << mantissa)
    y = steps * (power + (126 + least - mantissa) << 23).view(torch.float32)
    if beyond is not None:
        y = torch.where(size > top, torch.where(size == top + 1, beyond, float("nan")), y)
    return torch.where((codes & sign) != 0, -y, y).to(dtype)
