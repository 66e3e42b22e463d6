"""From sums of integers back to few bits."""

from __future__ import annotations

from collections.abc import Iterator

import torch

PART = 1 << 17
"""How many sums are multiplied at a time."""


def requantize(
    acc: torch.Tensor,
    multiplier: torch.Tensor,
    shift: torch.Tensor,
    zero: torch.Tensor | int = 0,
    *,
    lo: int,
    hi: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """`acc * multiplier / 2**shift`, half to even, plus zero: from lo to hi."""
    if not is_short(acc, multiplier):
        return rounded_product(acc, multiplier, shift).add_(zero).clamp_(lo, hi).to(dtype)
    y = torch.empty_like(acc, dtype=dtype)
    factor = multiplier.double() / (1 << shift.long())
    for total, times, plus, part in parts(acc, factor, torch.as_tensor(zero, dtype=torch.float64), y):
        part.copy_((total * times).round_().add_(plus).clamp_(lo, hi))
    return y


def parts(x: torch.Tensor, *others: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Views of a few rows of x, and of what broadcasts against it: what is made of them stays near the processor."""
    outer = max(range(x.dim()), key=lambda axis: (x.shape[axis] > 1, x.stride(axis)))
    rows = max(PART * x.shape[outer] // x.numel(), 1)
    return zip(*(torch.split(v.expand_as(x), rows, outer) for v in (x, *others)))


def is_short(acc: torch.Tensor, multiplier: torch.Tensor) -> bool:
    """Whether float64 holds every product: 30 bits of the sums and 24 of the multiplier. Asked where that is quick."""
    if acc.device.type != "cpu" or torch.compiler.is_compiling() or acc.dim() == 0 or acc.numel() == 0:
        return False
    # In the order of memory: of a view with channels last it takes ten times as long.
    low, high = map(int, acc.permute(sorted(range(acc.dim()), key=acc.stride, reverse=True)).aminmax())
    return max(-low, high) <= 2**29 and not (multiplier & 127).any()


def rounded_product(acc: torch.Tensor, multiplier: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """`acc * multiplier / 2**shift`, half to even, as int64: a little less than half is added, or half to odd ones."""
    half = (1 << shift.long()) >> 1
    exact = acc.long() * multiplier
    odd = (exact >> shift).bitwise_and_(half.clamp(max=1))
    return exact.add_(odd).add_((half - 1).clamp(min=0)).bitwise_right_shift_(shift)
