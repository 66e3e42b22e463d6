"""The first values of weights: the same bits for one seed in every framework.

All arithmetic is in float64, in operations that every library rounds exactly (`+ - * /`); logarithms, roots and
sums are written out in these.
"""

import base64
import math
import re
from collections.abc import Callable, Sequence

import torch

from architrave.backends.torch.prelude.random import place_of, threefry

INITIAL: tuple[tuple[str, Callable[..., torch.Tensor], dict[str, float]], ...] = ()


@torch.no_grad()
def init(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every weight its first value. One seed gives the same bits here as in NumPy and in JAX."""
    for path, weight in network.state_dict().items():
        draw, numbers = next((draw, numbers) for paths, draw, numbers in INITIAL if re.fullmatch(paths, path))
        weight.copy_(draw(seed, path, weight.shape, **numbers))
    return network


def full(seed: int, path: str, shape: Sequence[int], value: float) -> torch.Tensor:
    """One number everywhere."""
    return torch.full(tuple(shape), value, dtype=torch.float64)


def uniform(seed: int, path: str, shape: Sequence[int], lo: float, hi: float) -> torch.Tensor:
    """Uniform between `lo` and `hi`."""
    return drawn(seed, path, shape, lambda p: lo + p * (hi - lo))


def normal(seed: int, path: str, shape: Sequence[int], std: float, mean: float = 0.0) -> torch.Tensor:
    """Normal with standard deviation `std`."""
    return drawn(seed, path, shape, lambda p: mean + std * inverse_normal(p))


def trunc_normal(seed: int, path: str, shape: Sequence[int], std: float) -> torch.Tensor:
    """Normal with standard deviation `std` before it is cut off at two of them."""
    below = 0.022750131948179195  # the chance of a normal number below -2
    return drawn(seed, path, shape, lambda p: std * inverse_normal(below + p * (1 - 2 * below)))


def orthogonal(seed: int, path: str, shape: Sequence[int], gain: float) -> torch.Tensor:
    """A matrix `[shape[0], the rest]` with orthonormal rows or columns, uniformly among all of them, times `gain`.

    It is the Q of a random normal matrix, as a product of random reflections: Stewart, "The efficient generation of
    random orthogonal matrices" (1980).
    """
    rows, columns = shape[0], math.prod(shape[1:])
    n, m = max(rows, columns), min(rows, columns)
    numbers = normal(seed, path, (m, n), 1.0)
    q = torch.eye(n, m, dtype=torch.float64)
    for k in reversed(range(m)):
        v = numbers[k, k:].clone()
        sign = 1.0 if v[0] >= 0 else -1.0
        v[0] = v[0] + sign * math.sqrt(sum_in_halves(v * v).item())
        v = v[:, None]
        part = q[k:, k:]
        part -= v * (2 * sum_in_halves(v * part) / sum_in_halves(v * v))
        part[:, 0] *= -sign
    return (gain * (q if rows >= columns else q.T)).reshape(tuple(shape))


def identity(seed: int, path: str, shape: Sequence[int]) -> torch.Tensor:
    """The linear map, or the convolution, that returns its input."""
    value = torch.zeros(tuple(shape), dtype=torch.float64)
    for channel in range(min(shape[:2])):
        value[(channel, channel, *(size // 2 for size in shape[2:]))] = 1
    return value


def stored(seed: int, path: str, shape: Sequence[int], data: str) -> torch.Tensor:
    """Numbers that the program holds: float64, in base 64."""
    return torch.frombuffer(bytearray(base64.b64decode(data)), dtype=torch.float64).reshape(tuple(shape))


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


def polynomial(coefficients: Sequence[float], x: torch.Tensor) -> torch.Tensor:
    """The polynomial with these coefficients, highest power first."""
    total = coefficients[0] * x + coefficients[1]
    for coefficient in coefficients[2:]:
        total = total * x
        total = total + coefficient
    return total


def sum_in_halves(x: torch.Tensor) -> torch.Tensor:
    """The sum over the first axis, in an order that no library decides."""
    while len(x) > 1:
        half = (len(x) + 1) // 2
        folded = x[:half].clone()
        folded[: len(x) - half] += x[half:]
        x = folded
    return x[0]
