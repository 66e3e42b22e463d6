"""Layers and windows where PyTorch's own do not mean the same, or not in every case."""

import functools
import itertools
import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # as PyTorch's own documentation does
from torch import nn


class BatchNorm(nn.Module):
    """Batch normalization of [N, C, ...]. As `nn.BatchNorm2d`, but its state dict holds no `num_batches_tracked`."""

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        super().__init__()
        self.running_mean: torch.Tensor
        self.running_var: torch.Tensor
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, var = self.running_mean, self.running_var
        return F.batch_norm(x, mean, var, self.weight, self.bias, self.training, self.momentum, self.eps)


class Embedding(nn.Embedding):
    """A table of vectors. As `nn.Embedding`, but an index that is out of range takes the nearest row."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.clamp(0, self.num_embeddings - 1))


def sign(x: torch.Tensor) -> torch.Tensor:
    """-1, 0 or 1; NaN of NaN."""
    return torch.where(x.isnan(), x, x.sign())


def moments(x: torch.Tensor, dim: tuple[int, ...], keepdim: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean and the biased variance over some axes."""
    var, mean = torch.var_mean(x, dim, correction=0, keepdim=keepdim)
    return mean, var


def max_pool(
    x: torch.Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
) -> torch.Tensor:
    """The largest element of each window over the last axes of x; padding is never chosen."""
    lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    x = F.pad(x, [width for pair in reversed(padding) for width in pair], value=lowest)
    seen = windows(x, kernel, stride, dilation)
    return torch.stack(seen).max(0).values if x.is_floating_point() else functools.reduce(torch.maximum, seen)


def max_pool_places(
    x: torch.Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
) -> torch.Tensor:
    """Where `max_pool` finds its values, the first of equals: places in the plane of the last axes, row by row."""
    plane = x.shape[x.dim() - len(kernel) :]
    widths = [width for pair in reversed(padding) for width in pair]
    inside = torch.arange(math.prod(plane), device=x.device).reshape(plane)
    seen, places = (
        torch.stack(windows(F.pad(y, widths, value=value), kernel, stride, dilation))
        for y, value in ((x, 0), (inside, -1))
    )
    places = places.reshape(len(places), *(1,) * (x.dim() - len(kernel)), *places.shape[1:])
    largest = max_pool(x, kernel, stride, padding, dilation)
    chosen = (places >= 0) & ((seen == largest) | (seen.isnan() & largest.isnan()))
    return torch.where(chosen, places, math.prod(plane)).amin(0)


def avg_pool(
    x: torch.Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    count_padding: bool,
) -> torch.Tensor:
    """The mean of each window over the last axes of x; cells of the padding are zeros that count, or do not."""
    widths = [width for pair in reversed(padding) for width in pair]
    dilation = (1,) * len(kernel)
    total = torch.stack(windows(F.pad(x, widths), kernel, stride, dilation)).sum(0)
    if count_padding:
        return total / math.prod(kernel)
    return total / torch.stack(windows(F.pad(torch.ones_like(x), widths), kernel, stride, dilation)).sum(0)


def avg_pool3d(x: torch.Tensor, *window: Any, **options: Any) -> torch.Tensor:
    """As `F.avg_pool3d`, which processors lack in bfloat16."""
    wide = x.float() if x.dtype is torch.bfloat16 else x
    return F.avg_pool3d(wide, *window, **options).to(x.dtype)


def windows(
    x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> list[torch.Tensor]:
    """For each cell of a kernel, what it sees of the last axes of x in every position."""
    lead = x.dim() - len(kernel)
    seen: list[torch.Tensor] = []
    for cell in itertools.product(*map(range, kernel)):
        parts = [
            slice(c * d, n - (k - 1 - c) * d, s)
            for c, n, k, s, d in zip(cell, x.shape[lead:], kernel, stride, dilation, strict=True)
        ]
        seen.append(x[(slice(None),) * lead + tuple(parts)])
    return seen


def pad(x: torch.Tensor, widths: tuple[tuple[int, int], ...], mode: str) -> torch.Tensor:
    """x padded by (before, after) along each axis, with its own elements: "edge", "reflect" or "wrap"."""
    for axis, (before, after) in enumerate(widths):
        n = x.shape[axis]
        place = torch.arange(-before, n + after, device=x.device)
        if mode == "edge":
            place = place.clamp(0, n - 1)
        elif mode == "wrap":
            place = place % n
        elif n > 1:
            place = (n - 1) - ((place % (2 * n - 2)) - (n - 1)).abs()
        x = x.index_select(axis, place) if before or after else x
    return x


def resize(x: torch.Tensor, size: tuple[int, ...], mode: str) -> torch.Tensor:
    """The last axes of x interpolated to `size`, with half-pixel centres: "nearest", "linear" or "cubic" (a = -3/4)."""
    for axis, m in enumerate(size, x.dim() - len(size)):
        n = x.shape[axis]
        place = torch.arange(m, device=x.device)
        if mode == "nearest":
            x = x.index_select(axis, (2 * place + 1) * n // (2 * m))
            continue
        position = (place.to(torch.float64) + 0.5) * n / m - 0.5
        if mode == "linear":
            position = position.clamp(0, n - 1)
        first = position.floor()
        t = position - first
        taps = {0: 1 - t, 1: t} if mode == "linear" else {k: cubic((t - k).abs()) for k in (-1, 0, 1, 2)}
        along = (-1, *(1,) * (x.dim() - 1 - axis))
        parts = [
            x.index_select(axis, (first.long() + k).clamp(0, n - 1)) * weight.to(x.dtype).reshape(along)
            for k, weight in taps.items()
        ]
        x = torch.stack(parts).sum(0)
    return x


def cubic(t: torch.Tensor, a: float = -0.75) -> torch.Tensor:
    """The cubic kernel at distances from 0 to 2. Keys, "Cubic Convolution Interpolation" (1981)."""
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return torch.where(t <= 1, near, far)
