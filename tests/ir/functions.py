"""Functions of numbers by other formulas."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ir.apply import Array


def each(function: Callable[..., float], *, outside: float = math.nan) -> Callable[..., Array]:
    """A function of Python numbers for arrays; `outside` where it is not defined."""

    def one(*numbers: float) -> float:
        try:
            return function(*map(float, numbers))
        except ValueError:
            return outside
        except OverflowError:
            return math.copysign(math.inf, numbers[0])

    return np.vectorize(one, otypes=[float])


def nan_to_num(x: Array, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Array:
    return np.nan_to_num(
        x, nan=nan, posinf=np.inf if posinf is None else posinf, neginf=-np.inf if neginf is None else neginf
    )


def prelu(x: Array, weight: Array) -> Array:
    after = (1,) * max(x.ndim - 2, 0)
    return np.maximum(x, 0) + np.reshape(weight, (-1, *after) if x.ndim else ()) * np.minimum(x, 0)


def glu(x: Array, axis: int = -1) -> Array:
    a, b = np.split(x, 2, axis)
    return a * np.exp(-np.logaddexp(0, -b))


def digamma(x: Array) -> Array | None:
    """`-0.5772... + sum(1 / (k + 1) - 1 / (k + x))`, and an integral for what is left of the sum."""
    if (x > 1000).any():
        return None
    k = np.arange(200_000)
    terms = 1 / (k + 1) - 1 / (k + x[..., None])
    tail = (x - 1) / len(k) + (1 - x * x + x - 1) / (2.0 * len(k) ** 2)
    return -0.57721566490153286061 + terms.sum(-1) + tail


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sinh": each(math.sinh),
    "cosh": lambda x: each(math.cosh)(np.abs(x)),
    "asin": each(math.asin),
    "acos": each(math.acos),
    "atan": each(math.atan),
    "asinh": each(math.asinh),
    "acosh": each(math.acosh),
    "atanh": lambda x: np.where(np.abs(x) == 1, x * np.inf, each(math.atanh)(x)),
    "exp2": np.exp2,
    "log2": np.log2,
    "log10": np.log10,
    "reciprocal": lambda x: np.divide(1, x),
    "square": np.square,
    "cbrt": np.cbrt,
    "hypot": np.hypot,
    "logaddexp": np.logaddexp,
    "trunc": np.trunc,
    "frac": lambda x: np.modf(x)[0],
    "fmod": np.fmod,
    "lerp": lambda a, b, t: (1 - t) * a + t * b,
    "nan_to_num": nan_to_num,
    "hard_tanh": lambda x, lo=-1, hi=1: np.clip(x, lo, hi),
    "relu6": lambda x: np.clip(x, 0, 6),
    "threshold": lambda x, threshold, value: np.choose(~(x <= threshold), (value, x)),
    "hard_shrink": lambda x, bound=0.5: x * (np.abs(x) > bound) if np.isfinite(x).all() else None,
    "soft_shrink": lambda x, bound=0.5: np.sign(x) * np.maximum(np.abs(x) - bound, 0),
    "celu": lambda x, alpha=1.0: np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(x / alpha)),
    "prelu": prelu,
    "log_sigmoid": lambda x: -np.logaddexp(0, -x),
    "softsign": lambda x: np.sign(x) * (1 - 1 / (1 + np.abs(x))),
    "tanh_shrink": lambda x: x - 1 + 2 / (np.exp(2 * x) + 1),
    "glu": glu,
    "cummin": lambda x, axis: np.minimum.accumulate(x, axis),
    "quantile": lambda x, axis=None, keep=False, q=0.5: (
        np.quantile(x, q, axis, keepdims=keep) if x.size and not np.isinf(x).any() else None
    ),
    "median": lambda x, axis=None, keep=False: np.median(x, axis, keepdims=keep) if x.size else None,
    "count_nonzero": lambda x, axes=None, keep=False: np.count_nonzero(x, axes, keepdims=keep),
    "sinc": np.sinc,
    "digamma": digamma,
    "binarize": lambda x, surrogate=None: 1 - 2.0 * ~(x >= 0),
    "isinf": lambda x: np.isin(x, [-np.inf, np.inf]),
}
"""Composites by what NumPy and Python's `math` have."""
