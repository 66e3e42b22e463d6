"""The gamma function and the inverse of the error function: computed in float64, given in the precision of x."""

from __future__ import annotations

import math

import numpy as np


def lgamma(x: np.ndarray) -> np.ndarray:
    """The logarithm of |gamma(x)|, by Stirling's series from 8 on; infinite at 0, -1, -2 and so on."""
    given = np.asarray(x, np.float64)
    low = given < 0.5
    z = np.where(low, 1 - given, given)
    small = z < 8
    product = np.prod([np.where(small, z + k, 1) for k in range(8)], axis=0)
    z = np.where(small, z + 8, z)
    y: np.ndarray = (z - 0.5) * (np.log(z) - 1) + 0.5 * math.log(2 * math.pi) - 0.5 - np.log(product)
    for k, b in enumerate(BERNOULLI, 1):
        y += b / (2 * k * (2 * k - 1)) * z ** (1 - 2 * k)
    sine = np.abs(np.sin(math.pi * (given - np.round(given))))
    return np.where(low, np.log(math.pi / sine) - y, y).astype(x.dtype)


def polygamma(x: np.ndarray, n: int = 0) -> np.ndarray:
    """The derivative of order n + 1 of `log(gamma(x))`; where n is not 0, for x above 0."""
    given = np.asarray(x, np.float64)
    low = (given < 0.5) & (n == 0)
    z = np.where(low, 1 - given, given)
    # The first 16 terms one by one, the rest by Euler and Maclaurin.
    y = sum((z + k) ** -(n + 1) for k in range(16))
    z = z + 16
    y += z**-n / n + 0.5 * z ** -(n + 1) if n else 0.5 / z - np.log(z)
    for k, b in enumerate(BERNOULLI, 1):
        y += b * math.prod(range(n + 1, n + 2 * k)) / math.factorial(2 * k) * z ** -(n + 2 * k)
    y *= (-1) ** (n + 1) * math.factorial(n)
    reflected = y - math.pi / np.tan(math.pi * (given - np.round(given)))
    return np.where(low, reflected, np.where((given > 0) | (n == 0), y, math.nan)).astype(x.dtype)


def erfinv(x: np.ndarray) -> np.ndarray:
    """The number whose error function is x.

    M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied Statistics 37 (1988).
    """
    given = np.ravel(np.asarray(x, np.float64))
    y = given / 2
    r = 0.180625 - y * y
    y *= rational(r, CENTRAL)
    outer = np.flatnonzero(np.abs(given) > 0.85)
    r = np.sqrt(-np.log((1 - np.abs(given[outer])) / 2))
    tail = np.where(r <= 5, rational(r - 1.6, TAIL), rational(r - 5, FAR_TAIL))
    y[outer] = np.copysign(np.where(np.isinf(r), np.inf, tail), given[outer])
    return (y * math.sqrt(0.5)).astype(x.dtype).reshape(np.shape(x))


def rational(x: np.ndarray, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> np.ndarray:
    """The quotient of two polynomials, highest powers first."""
    above, below = coefficients
    return np.polyval(above, x) / np.polyval(below, x)


BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
CENTRAL = (
    (
        2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
        1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0,
    ),
    (
        5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
        5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0,
    ),
)  # fmt: skip
TAIL = (
    (
        7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
        3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0,
    ),
    (
        1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
        6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0,
    ),
)  # fmt: skip
FAR_TAIL = (
    (
        2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
        2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0,
    ),
    (
        2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
        1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0,
    ),
)  # fmt: skip
