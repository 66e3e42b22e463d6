"""Drawing the first values of weights, in operations that give the same bits on every machine.

All arithmetic is in float64, in the operations that every library rounds exactly (`+ - * /`), one array operation
each; logarithms, roots and sums are written out in these, because libraries differ in theirs.
NumPy and JAX programs carry copies of these functions, which therefore need NumPy and the standard library alone.
"""

# Written as the programs show it: arrays without type arguments.
# mypy: disable-error-code="type-arg, no-any-return"
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownLambdaType=false

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from architrave.ir.threefry import stream_key, threefry


def full(seed: int, path: str, shape: Sequence[int], dtype: np.dtype, value: float) -> np.ndarray:
    """One number everywhere."""
    return np.full(shape, value, dtype)


def uniform(seed: int, path: str, shape: Sequence[int], dtype: np.dtype, lo: float, hi: float) -> np.ndarray:
    """Uniform between `lo` and `hi`."""
    return drawn(seed, path, shape, dtype, lambda p: lo + p * (hi - lo))


def normal(seed: int, path: str, shape: Sequence[int], dtype: np.dtype, std: float, mean: float = 0.0) -> np.ndarray:
    """Normal with standard deviation `std`."""
    return drawn(seed, path, shape, dtype, lambda p: mean + std * inverse_normal(p))


def trunc_normal(seed: int, path: str, shape: Sequence[int], dtype: np.dtype, std: float) -> np.ndarray:
    """Normal with standard deviation `std` before it is cut off at two of them."""
    below = 0.022750131948179195  # the chance of a normal number below -2
    return drawn(seed, path, shape, dtype, lambda p: std * inverse_normal(below + p * (1 - 2 * below)))


def orthogonal(seed: int, path: str, shape: Sequence[int], dtype: np.dtype, gain: float) -> np.ndarray:
    """A matrix `[shape[0], the rest]` with orthonormal rows or columns, uniformly among all of them, times `gain`.

    It is the Q of a random normal matrix, as a product of random reflections: Stewart, "The efficient generation of
    random orthogonal matrices" (1980).
    """
    rows, columns = shape[0], math.prod(shape[1:])
    n, m = max(rows, columns), min(rows, columns)
    numbers = normal(seed, path, (m, n), np.dtype("f8"), 1.0)
    q = np.eye(n, m)
    for k in reversed(range(m)):
        v = numbers[k, k:].copy()
        sign = 1.0 if v[0] >= 0 else -1.0
        v[0] = v[0] + sign * math.sqrt(sum_in_halves(v * v))
        v = v[:, None]
        part = q[k:, k:]
        part -= v * (2 * sum_in_halves(v * part) / sum_in_halves(v * v))
        part[:, 0] *= -sign
    return (gain * (q if rows >= columns else q.T)).reshape(shape).astype(dtype)


def identity(seed: int, path: str, shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """The linear map, or the convolution, that returns its input."""
    value = np.zeros(shape, dtype)
    channels = np.arange(min(shape[:2]))
    centre = [np.asarray(size // 2) for size in shape[2:]]
    value[(channels, channels, *centre)] = 1
    return value


def drawn(
    seed: int, path: str, shape: Sequence[int], dtype: np.dtype, transform: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """`transform` of numbers uniform in (0, 1), in pieces that stay in the processor's cache."""
    value = np.empty(math.prod(shape), dtype)
    key = stream_key(seed, path)
    piece = 1 << 15
    for start in range(0, value.size, piece):
        stop = min(start + piece, value.size)
        blocks = np.arange(start // 2, (stop + 1) // 2, dtype=np.uint64)
        counter = np.stack([blocks, blocks >> np.uint64(32)]).astype(np.uint32)
        words = threefry(key, counter).T.reshape(-1)[: stop - start]
        value[start:stop] = transform((words + 0.5) * 2.0**-32)
    return value.reshape(shape)


def inverse_normal(p: np.ndarray) -> np.ndarray:
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
    outer = np.abs(q) > 0.425
    nearer = np.minimum(p[outer], 1 - p[outer])
    r = square_root(-logarithm(nearer)) - 1.6
    value[outer] = np.sign(q[outer]) * (polynomial(tails[0], r) / polynomial(tails[1], r))
    return value


def logarithm(x: np.ndarray) -> np.ndarray:
    """The natural logarithm, in exactly rounded operations."""
    half, exponent = np.frexp(x)
    low = half < 0.7071067811865476
    mantissa = np.where(low, 2 * half, half)
    s = (mantissa - 1) / (mantissa + 1)
    series = polynomial([1 / k for k in range(21, 0, -2)], s * s)
    return (exponent - low) * 0.6931471805599453 + 2 * s * series


def square_root(x: np.ndarray) -> np.ndarray:
    """The square root of numbers from 2 to 25, by Heron's method: PyTorch's own is not always the nearest number."""
    root = 1.2 + 0.16 * x
    for _ in range(4):
        root = 0.5 * (root + x / root)
    return root


def polynomial(coefficients: Sequence[float], x: np.ndarray) -> np.ndarray:
    """The polynomial with these coefficients, highest power first."""
    total = coefficients[0] * x + coefficients[1]
    for coefficient in coefficients[2:]:
        total *= x
        total += coefficient
    return total


def sum_in_halves(x: np.ndarray) -> np.ndarray:
    """The sum over the first axis, in an order that no library decides."""
    while len(x) > 1:
        half = (len(x) + 1) // 2
        folded = x[:half].copy()
        folded[: len(x) - half] += x[half:]
        x = folded
    return x[0]


DRAWS: dict[str, Callable[..., np.ndarray]] = {
    function.__name__: function for function in (full, uniform, normal, trunc_normal, orthogonal, identity)
}
"""The functions that draw. All take the seed, the weight's path, its shape and dtype, and then their numbers."""
