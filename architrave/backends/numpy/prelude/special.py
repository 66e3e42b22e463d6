"""Functions that NumPy lacks, in the precision of their argument."""

from __future__ import annotations

import math

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    """`1 / (1 + exp(-x))`; where `exp(-x)` overflows, 0."""
    y = np.exp(-x)
    y += 1
    return np.reciprocal(y)


def softplus(x: np.ndarray) -> np.ndarray:
    """`log(1 + exp(x))`, without overflow."""
    return np.add(np.maximum(x, 0), np.log1p(np.exp(-np.abs(x))))


def gelu(x: np.ndarray) -> np.ndarray:
    """`x * Phi(x)`, with `Phi` the normal distribution."""
    y = erf(x * math.sqrt(0.5))
    y += 1
    y *= x
    y *= 0.5
    return y


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    """An approximation of `gelu` by `tanh`."""
    y = x * x
    y *= 0.044715 * math.sqrt(2 / math.pi)
    y += math.sqrt(2 / math.pi)
    y *= x
    y = np.tanh(y)
    y += 1
    y *= x
    y *= 0.5
    return y


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, to about 1e-15 of its value in float64.

    W. J. Cody, "Rational Chebyshev Approximations for the Error Function", Mathematics of Computation 23 (1969).
    """
    flat = np.ravel(x)
    y = np.empty_like(flat)
    block = 1 << 15  # what stays in the cache
    for start in range(0, flat.size, block):
        y[start : start + block] = _erf(flat[start : start + block])
    return y.reshape(np.shape(x))


def _erf(x: np.ndarray) -> np.ndarray:
    """`erf` of a vector: `1 - exp(-x**2) P(x) / Q(x)`, and `x P(x**2) / Q(x**2)` where abs(x) <= 0.46875."""
    z = np.minimum(np.abs(x), 6)  # erf(6) rounds to 1
    y = _polynomial(z, _ERFC_P)
    y /= _polynomial(z, _ERFC_Q)
    z *= z
    y *= np.exp(-z)
    y = np.copysign(np.subtract(1, y, out=y), x, out=y)
    central = np.flatnonzero(z <= 0.46875**2)
    z = z[central]
    y[central] = x[central] * _polynomial(z, _ERF_P) / _polynomial(z, _ERF_Q)
    return y


def _polynomial(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """Horner's rule, highest power first."""
    y = coefficients[0] * x
    for coefficient in coefficients[1:-1]:
        y += coefficient
        y *= x
    y += coefficients[-1]
    return y


_ERF_P = (
    1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
    3.20937758913846947e3,
)  # fmt: skip
_ERF_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
_ERFC_P = (
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
    2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
    1.23033935479799725e3,
)  # fmt: skip
_ERFC_Q = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
    3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
)  # fmt: skip
