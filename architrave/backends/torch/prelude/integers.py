"""Integers where PyTorch raises an error, crashes or leaves open what comes out."""

import torch


def floor_divide(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`a // b` of integers, 0 where b is 0. The least integer divided by -1 is itself; a processor would trap."""
    apart = (b == 0) | (b == -1)
    return torch.where(apart, a * b, a // torch.where(apart, 1, b))


def remainder(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`a % b` of integers, 0 where b is 0."""
    return torch.where((b == 0) | (b == -1), 0, a % torch.where((b == 0) | (b == -1), 1, b))


def integer_power(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`a ** b` of integers; with a negative b the inverse without its fraction: 0, but of 1 and -1 one of them."""
    y = a ** torch.where(b < 0, b & 1, b)
    return torch.where((b < 0) & (a != 1) & (a != -1), 0, y)


def to_integers(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """x without its fractions, as int64. What `dtype` cannot hold becomes the nearest that it can, NaN 0."""
    low, high = torch.iinfo(dtype).min, torch.iinfo(dtype).max
    above, below = x >= float(high), x <= float(low)
    y = torch.where(above | below | x.isnan(), 0, x).long()
    return torch.where(above, high, torch.where(below, low, y))
