"""Spiking for PyTorch, compiled by Architrave from <text>.

    Spiking(x: [N, T, 3]) -> [N, T, 6], [N, 6]

The keys of its `state_dict` are the paths of the weights. It computes in the precision of its weights:
`.double()` and `.bfloat16()` change that.
"""

import hashlib
import math
import re
from collections.abc import Callable, Sequence

import torch
from torch import nn


class Spike(torch.autograd.Function):
    """One where the potential is reached."""

    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return torch.where(v >= 0, torch.tensor(1.0, dtype=v.dtype, device=v.device), 0.0)  # <text>:11

    @staticmethod
    def backward(ctx, grad_0):
        (v,) = ctx.saved_tensors
        return grad_0 / (1 + torch.abs(v)) ** 2  # <text>:13


def leaky(v, rest, decay):
    drift = (v - rest) * decay  # <text>:16
    y = drift * torch.exp(-torch.abs(drift))  # <text>:17
    return rest + y  # <text>:17


class Moving(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("level", torch.empty(6))

    def forward(self, level, x):
        y = 0.9 * level + 0.1 * x.mean(0)  # <text>:21
        return x - y, y


def spike(v):
    """One where the potential is reached."""
    return Spike.apply(v)  # <text>:29


class Spiking(nn.Module):
    """Neurons that leak, spike and are reset."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Linear(3, 6)
        self.level = Moving()

    def forward(self, x):
        N = x.shape[0]
        v = torch.zeros((N, 6), dtype=x.dtype, device=x.device)  # <text>:27
        level = self.level.level  # <text>:27
        spikes = []  # <text>:27
        for x_t in x.unbind(1):  # <text>:27
            v_2, level = self.level(level, self.weights(x_t))  # <text>:28
            v = leaky(v, 0.1, 0.9) + v_2  # <text>:28
            s = spike(v - 1)  # <text>:29
            v = v - s  # <text>:30
            spikes.append(s)  # <text>:27
        spikes = torch.stack(spikes, 1)  # <text>:27
        v = leaky(v, 0.2, 0.5)  # <text>:33
        for _ in range(8):  # <text>:34
            if not torch.abs(v).amax() > 1:  # <text>:34
                break
            v = v / 2  # <text>:34
        self.level.level = level.detach()
        return spikes, v


# What PyTorch lacks, or means otherwise.


def place_of(path: str) -> tuple[int, int]:
    """The first two words of the SHA-256 of a path."""
    digest = hashlib.sha256(path.encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def threefry(key: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Encrypt pairs of 32-bit words [2, ...].

    Salmon and others, "Parallel Random Numbers: As Easy as 1, 2, 3" (2011).
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA)
    a, b = (words[0] + keys[0]) & 0xFFFFFFFF, (words[1] + keys[1]) & 0xFFFFFFFF
    for group in range(5):
        for turn in (13, 15, 26, 6) if group % 2 == 0 else (17, 29, 16, 24):
            a = (a + b) & 0xFFFFFFFF
            b = a ^ ((b << turn | b >> (32 - turn)) & 0xFFFFFFFF)
        a = (a + keys[(group + 1) % 3]) & 0xFFFFFFFF
        b = (b + keys[(group + 2) % 3] + group + 1) & 0xFFFFFFFF
    return torch.stack([a, b])


def drawn(
    seed: int, path: str, shape: Sequence[int], transform: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """`transform` of numbers uniform in (0, 1), in pieces, to spare memory."""
    value = torch.empty(math.prod(shape), dtype=torch.float64)
    key = threefry(torch.tensor([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF]), torch.tensor(place_of(path)))
    piece = 1 << 18
    for start in range(0, len(value), piece):
        stop = min(start + piece, len(value))
        number = torch.arange(start // 2, (stop + 1) // 2)
        words = threefry(key[:, None], torch.stack([number & 0xFFFFFFFF, number >> 32])).T.reshape(-1)
        value[start:stop] = transform((words[: stop - start].to(torch.float64) + 0.5) * 2.0**-32)
    return value.reshape(tuple(shape))


def uniform(seed: int, path: str, shape: Sequence[int], lo: float, hi: float) -> torch.Tensor:
    """Uniform between `lo` and `hi`."""
    return drawn(seed, path, shape, lambda p: lo + p * (hi - lo))


def full(seed: int, path: str, shape: Sequence[int], value: float) -> torch.Tensor:
    """One number everywhere."""
    return torch.full(tuple(shape), value, dtype=torch.float64)


INITIAL = (
    (r"weights\.weight", uniform, dict(lo=-0.5773502691896258, hi=0.5773502691896258)),
    (r"weights\.bias", uniform, dict(lo=-0.5773502691896258, hi=0.5773502691896258)),
    (r"level\.level", full, dict(value=0.0)),
)


@torch.no_grad()
def init(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every weight its first value. One seed gives the same bits here as in NumPy and in JAX."""
    for path, weight in network.state_dict().items():
        draw, numbers = next((draw, numbers) for paths, draw, numbers in INITIAL if re.fullmatch(paths, path))
        weight.copy_(draw(seed, path, weight.shape, **numbers))
    return network


Model = Spiking
