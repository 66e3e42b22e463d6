"""Layers and windows where PyTorch's own do not mean the same, or not in every case."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn


class BatchNorm(nn.Module):
    """Batch normalization of [N, C, ...]. As `nn.BatchNorm2d`, but its state dict holds no `num_batches_tracked`."""

    def __init__(self, channels, eps=1e-5, momentum=0.1, affine=True):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x):
        statistics = self.running_mean, self.running_var
        return F.batch_norm(x, *statistics, self.weight, self.bias, self.training, self.momentum, self.eps)


class Embedding(nn.Embedding):
    """A table of vectors. As `nn.Embedding`, but an index that is out of range takes the nearest row."""

    def forward(self, index):
        return super().forward(index.clamp(0, self.num_embeddings - 1))


def sign(x):
    """-1, 0 or 1; NaN of NaN."""
    return torch.where(x.isnan(), x, x.sign())


def moments(x, dim, keepdim=False):
    """The mean and the biased variance over some axes."""
    var, mean = torch.var_mean(x, dim, correction=0, keepdim=keepdim)
    return mean, var


def max_pool(x, kernel, stride, padding, dilation):
    """The largest element of each window over the last axes of x; padding is never chosen."""
    lowest = -math.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    x = F.pad(x, [width for pair in reversed(padding) for width in pair], value=lowest)
    return torch.stack(windows(x, kernel, stride, dilation)).amax(0)


def avg_pool(x, kernel, stride, padding, count_padding):
    """The mean of each window over the last axes of x; cells of the padding are zeros that count, or do not."""
    widths = [width for pair in reversed(padding) for width in pair]
    dilation = (1,) * len(kernel)
    total = sum(windows(F.pad(x, widths), kernel, stride, dilation))
    if count_padding:
        return total / math.prod(kernel)
    return total / sum(windows(F.pad(torch.ones_like(x), widths), kernel, stride, dilation))


def windows(x, kernel, stride, dilation):
    """For each cell of a kernel, what it sees of the last axes of x in every position."""
    spatial = x.shape[x.dim() - len(kernel) :]
    seen = []
    for cell in itertools.product(*map(range, kernel)):
        parts = [
            slice(c * d, n - (k - 1 - c) * d, s)
            for c, n, k, s, d in zip(cell, spatial, kernel, stride, dilation, strict=True)
        ]
        seen.append(x[(..., *parts)])
    return seen


def pad(x, widths, mode):
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
