"""Decoder for PyTorch, compiled by Architrave from <text>.

    Decoder(tokens: i64[N, T], mask: [N, T]) -> [N, T, 30]

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


class Dropout(nn.Module):
    """Sets each cell to zero with probability `p` and scales the others by `1 / (1 - p)`.

    Srivastava and others, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting" (2014).
    """

    draws = ["random_0"]

    def forward(self, x, key):
        if self.training:  # regularize.arch:10
            y = random_bits(key, self.places["random_0"], x.shape) // 256 < 15099495  # regularize.arch:11
            y = torch.where(y, x / 0.9, 0.0)  # regularize.arch:11
        else:
            y = x  # regularize.arch:10
        return y


class SelfAttention(nn.Module):
    """Every position of `x` attends to the others, with `heads` queries and `kv_heads` keys and values."""

    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(8, 8)
        self.k_proj = nn.Linear(8, 8)
        self.v_proj = nn.Linear(8, 8)
        self.out_proj = nn.Linear(8, 8)

    def forward(self, x):
        N, T, _ = x.shape
        q = self.q_proj(x).reshape(N, T, 2, 4).transpose(1, 2)  # attention.arch:32
        k = self.k_proj(x).reshape(N, T, 2, 4).transpose(1, 2)  # attention.arch:32
        v = self.v_proj(x).reshape(N, T, 2, 4).transpose(1, 2)  # attention.arch:32
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(N, T, 8)  # attention.arch:35
        return self.out_proj(y)  # attention.arch:65


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.attention = SelfAttention()
        self.dropout_0 = Dropout()

    def forward(self, x, mask, key):
        y = self.dropout_0(self.attention(self.norm(x)), key)  # <text>:10
        return x + y * mask.unsqueeze(2)  # <text>:11


class Decoder(nn.Module):
    """A small decoder whose positions can be masked."""

    def __init__(self):
        super().__init__()
        self.embed = Embedding(30, 8)
        self.layers = nn.ModuleList(Layer() for _ in range(3))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 30, bias=False)
        set_places(self)

    def forward(self, tokens, mask, key=None):
        key = run_key(key, tokens.device)
        x = self.embed(tokens)  # <text>:15
        for layer in self.layers:  # <text>:16
            x = layer(x, mask, key)  # <text>:16
        return self.head(self.norm(x))  # <text>:17


# What PyTorch lacks, or means otherwise.


class Embedding(nn.Embedding):
    """A table of vectors. As `nn.Embedding`, but an index that is out of range takes the nearest row."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input.clamp(0, self.num_embeddings - 1))


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


def random_bits(key: torch.Tensor, place: tuple[int, int], shape: tuple[int, ...]) -> torch.Tensor:
    """32 random bits in each element, as int64, for the run's key and a place in the network."""
    count = math.prod(shape)
    key = threefry(key, torch.tensor(place, device=key.device))
    number = torch.arange((count + 1) // 2, device=key.device)
    words = threefry(key[:, None], torch.stack([number & 0xFFFFFFFF, number >> 32]))
    return words.T.reshape(-1)[:count].reshape(shape)


def place_of(path: str) -> tuple[int, int]:
    """The first two words of the SHA-256 of a path."""
    digest = hashlib.sha256(path.encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def set_places(network: torch.nn.Module) -> None:
    """Give every module that draws random numbers the keys of its draws, which depend on their paths."""
    for path, module in network.named_modules():
        draws = getattr(module, "draws", ())
        vars(module)["places"] = {draw: place_of(f"{path}.{draw}" if path else draw) for draw in draws}


def run_key(key: torch.Tensor | tuple[int, int] | None, device: torch.device | None) -> torch.Tensor:
    """The key of a run: (seed, step) as given, or drawn from PyTorch's own generator."""
    if key is None:
        return torch.randint(2**32, (2,), device=device)
    return torch.as_tensor(key, device=device).to(torch.int64)


def polynomial(coefficients: Sequence[float], x: torch.Tensor) -> torch.Tensor:
    """The polynomial with these coefficients, highest power first."""
    total = coefficients[0] * x + coefficients[1]
    for coefficient in coefficients[2:]:
        total = total * x
        total = total + coefficient
    return total


def logarithm(x: torch.Tensor) -> torch.Tensor:
    """The natural logarithm, in exactly rounded operations."""
    half, exponent = torch.frexp(x)
    low = half < 0.7071067811865476
    mantissa = torch.where(low, 2 * half, half)
    s = (mantissa - 1) / (mantissa + 1)
    series = polynomial([1 / k for k in range(21, 0, -2)], s * s)
    return (exponent - low.to(torch.float64)) * 0.6931471805599453 + 2 * s * series


def square_root(x: torch.Tensor) -> torch.Tensor:
    """The square root of numbers from 2 to 25, by Heron's method: PyTorch's own is not always the nearest number."""
    root = 1.2 + 0.16 * x
    for _ in range(4):
        root = 0.5 * (root + x / root)
    return root


def inverse_normal(p: torch.Tensor) -> torch.Tensor:
    """The number below which a normal number falls with chance `p`, for `p` from 2**-33 to 1 - 2**-33.

    Wichura, "Algorithm AS 241: the percentage points of the normal distribution" (1988), to 16 digits.
    """
    middle = (
        (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
         13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
        (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
         5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
    )  # fmt: skip
    tails = (
        (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
         3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
        (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
         0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
    )  # fmt: skip
    q = p - 0.5
    z = 0.180625 - q * q
    value = q * polynomial(middle[0], z) / polynomial(middle[1], z)
    outer = q.abs() > 0.425
    nearer = torch.minimum(p[outer], 1 - p[outer])
    r = square_root(-logarithm(nearer)) - 1.6
    value[outer] = q[outer].sign() * (polynomial(tails[0], r) / polynomial(tails[1], r))
    return value


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


def normal(seed: int, path: str, shape: Sequence[int], std: float, mean: float = 0.0) -> torch.Tensor:
    """Normal with standard deviation `std`."""
    return drawn(seed, path, shape, lambda p: mean + std * inverse_normal(p))


def full(seed: int, path: str, shape: Sequence[int], value: float) -> torch.Tensor:
    """One number everywhere."""
    return torch.full(tuple(shape), value, dtype=torch.float64)


def uniform(seed: int, path: str, shape: Sequence[int], lo: float, hi: float) -> torch.Tensor:
    """Uniform between `lo` and `hi`."""
    return drawn(seed, path, shape, lambda p: lo + p * (hi - lo))


INITIAL = (
    (r"embed\.weight", normal, dict(std=1.0)),
    (r"layers\.\d+\.norm\.weight", full, dict(value=1.0)),
    (r"layers\.\d+\.norm\.bias", full, dict(value=0.0)),
    (r"layers\.\d+\.attention\.q_proj\.weight", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
    (r"layers\.\d+\.attention\.q_proj\.bias", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
    (r"layers\.\d+\.attention\.k_proj\.weight", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
    (r"layers\.\d+\.attention\.k_proj\.bias", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
    (r"layers\.\d+\.attention\.v_proj\.weight", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
    (r"layers\.\d+\.attention\.v_proj\.bias", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
    (r"layers\.\d+\.attention\.out_proj\.weight", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
    (r"layers\.\d+\.attention\.out_proj\.bias", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
    (r"norm\.weight", full, dict(value=1.0)),
    (r"norm\.bias", full, dict(value=0.0)),
    (r"head\.weight", uniform, dict(lo=-0.35355339059327373, hi=0.35355339059327373)),
)


@torch.no_grad()
def init(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every weight its first value. One seed gives the same bits here as in NumPy and in JAX."""
    for path, weight in network.state_dict().items():
        draw, numbers = next((draw, numbers) for paths, draw, numbers in INITIAL if re.fullmatch(paths, path))
        weight.copy_(draw(seed, path, weight.shape, **numbers))
    return network


Model = Decoder
