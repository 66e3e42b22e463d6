"""The bits of integers. A u32 is held as an int64, so that functions are told how wide their numbers are."""

import torch


def shift_left(x: torch.Tensor, count: torch.Tensor, bits: int) -> torch.Tensor:
    """x with its bits moved to the left; 0 where all of them are gone."""
    inside = (count >= 0) & (count < bits)
    shifted = x << torch.where(inside, count, 0).to(x.dtype)
    if bits < 8 * x.element_size():
        shifted = shifted & (1 << bits) - 1
    return torch.where(inside, shifted, 0)


def shift_right(x: torch.Tensor, count: torch.Tensor, bits: int, logical: bool = False) -> torch.Tensor:
    """x with its bits moved to the right; from the left comes the sign, or zeros for `logical`."""
    inside = (count >= 0) & (count < bits)
    count = torch.where(inside, count, 0).to(x.dtype)
    signed = torch.iinfo(x.dtype).min < 0 and bits == 8 * x.element_size()
    if not signed:
        return torch.where(inside, x >> count, 0)
    if not logical:
        return torch.where(inside, x >> count, x >> bits - 1)
    # The first step takes the sign away.
    rest = (x >> 1 & torch.iinfo(x.dtype).max) >> (count - 1).clamp(min=0)
    return torch.where(inside, torch.where(count == 0, x, rest), 0)


def popcount(x: torch.Tensor, bits: int) -> torch.Tensor:
    """How many bits are set."""
    total = torch.zeros_like(x, dtype=torch.int64)
    for position in range(bits):
        total = total + (x >> position & 1)
    return total


def clz(x: torch.Tensor, bits: int) -> torch.Tensor:
    """How many bits are above the highest that is set."""
    step = 1
    while step < bits:
        x = x | shift_right(x, torch.tensor(step, device=x.device), bits, logical=True)
        step *= 2
    return bits - popcount(x, bits)
