"""Small for PyTorch, compiled by Architrave from <text>.

    Small(image: [N, 3, 16, 16]) -> [N, 10]

The keys of its `state_dict` are the paths of the weights. It computes in the precision of its weights:
`.double()` and `.bfloat16()` change that.
"""

import hashlib
import math
import re
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = BatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = BatchNorm(width)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))  # <text>:11
        y = self.bn2(self.conv2(y))  # <text>:12
        return F.relu(y + x)  # <text>:17


class Residual_2(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
        self.bn1 = BatchNorm(16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = BatchNorm(16)
        self.shortcut = nn.Conv2d(8, 16, 1, stride=2, bias=False)

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))  # <text>:11
        y = self.bn2(self.conv2(y))  # <text>:12
        s = self.shortcut(x)  # <text>:15
        return F.relu(y + s)  # <text>:17


class Small(nn.Module):
    """A residual network for small images."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layer1 = nn.Sequential(*(Residual(width=8) for _ in range(4)))
        self.layer2 = nn.Sequential(
            Residual_2(),
            Residual(width=16),
            Residual(width=16),
        )
        self.head = nn.Linear(16, 10)

    def forward(self, image):
        x = F.relu(self.stem(image))  # <text>:21
        x = self.layer1(x)  # <text>:22
        x = self.layer2(x)  # <text>:23
        return self.head(x.mean((2, 3)))  # <text>:24


# What PyTorch lacks, or means otherwise.


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
    (r"stem\.weight", uniform, dict(lo=-0.19245008972987526, hi=0.19245008972987526)),
    (r"stem\.bias", uniform, dict(lo=-0.19245008972987526, hi=0.19245008972987526)),
    (r"layer1\.\d+\.conv\d+\.weight", uniform, dict(lo=-0.11785113019775793, hi=0.11785113019775793)),
    (r"layer2\.0\.conv1\.weight", uniform, dict(lo=-0.11785113019775793, hi=0.11785113019775793)),
    (r"layer2\.1\.conv1\.weight", uniform, dict(lo=-0.08333333333333333, hi=0.08333333333333333)),
    (r"layer2\.2\.conv1\.weight", uniform, dict(lo=-0.08333333333333333, hi=0.08333333333333333)),
    (r"layer2\.\d+\.conv2\.weight", uniform, dict(lo=-0.08333333333333333, hi=0.08333333333333333)),
    (r"layer\d+\.\d+\.bn\d+\.weight", full, dict(value=1.0)),
    (r"layer\d+\.\d+\.bn\d+\.bias", full, dict(value=0.0)),
    (r"layer\d+\.\d+\.bn\d+\.running_mean", full, dict(value=0.0)),
    (r"layer\d+\.\d+\.bn\d+\.running_var", full, dict(value=1.0)),
    (r"layer\d+\.\d+\.shortcut\.weight", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
    (r"head\.weight", uniform, dict(lo=-0.25, hi=0.25)),
    (r"head\.bias", uniform, dict(lo=-0.25, hi=0.25)),
)


@torch.no_grad()
def init(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every weight its first value. One seed gives the same bits here as in NumPy and in JAX."""
    for path, weight in network.state_dict().items():
        draw, numbers = next((draw, numbers) for paths, draw, numbers in INITIAL if re.fullmatch(paths, path))
        weight.copy_(draw(seed, path, weight.shape, **numbers))
    return network


Model = Small
