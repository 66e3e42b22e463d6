"""Groups of numbers that share a power of two."""

from __future__ import annotations

import torch

from architrave.backends.torch.prelude.mantissa import power_of_two
from architrave.backends.torch.prelude.minifloat import round_minifloat


def round_mx(
    x: torch.Tensor, axis: int, group: int, exponent: int, mantissa: int, least: float, largest: float
) -> torch.Tensor:
    """x as multiples of a power of two that each group along the axis shares; that of its largest is exponent."""
    rows = torch.moveaxis(x, axis, -1)
    groups = rows.reshape(*rows.shape[:-1], rows.shape[-1] // group, group).float()
    powers = power_of_two(groups.detach().abs().amax(-1, keepdim=True), 0)
    scale = (powers * 2.0**-exponent).clamp(min=2.0**-110)
    y = round_minifloat(groups / scale, mantissa, least, largest, largest) * scale
    return torch.moveaxis(y.reshape(rows.shape), -1, axis).to(x.dtype)
