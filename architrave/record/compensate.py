"""Weights that change one input after another, while those behind make up for the error.

Hassibi and Stork, "Second order derivatives for network pruning: Optimal Brain Surgeon" (1993), with the order and the
Cholesky factor of Frantar, Ashkboos, Hoefler and Alistarh, "GPTQ" (2023).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.source import error

Settle = Callable[[int, Array, Array], Array]
"""What column `i` becomes for good, given `i`, all columns as they are now, and the `inverse_factor`."""


def compensated(weight: Array, hessian: Array, settle: Settle, damping: float = 0.01, block: int = 128) -> Array:
    """The weight [O, I] after `settle` had each column, of which `x @ weight.T` stays near, in float64.

    `hessian` [I, I] is x' x of the inputs, with the share `damping` of the mean curvature added to each. Of what
    `settle` is given, the columns up to the end of a block of so many are up to date. Raises E911.
    """
    left, inverse = weight.astype(np.float64), inverse_factor(hessian.astype(np.float64), damping)
    size = len(inverse)
    for start in range(0, size, block):
        stop = min(start + block, size)
        errors = np.empty((len(left), stop - start))
        for i in range(start, stop):
            settled = settle(i, left, inverse)
            errors[:, i - start] = (left[:, i] - settled) / inverse[i, i]
            left[:, i:stop] -= np.outer(errors[:, i - start], inverse[i, i:stop])
            left[:, i] = settled
        left[:, stop:] -= errors @ inverse[start:stop, stop:]
    return left


def inverse_factor(hessian: Array, damping: float) -> Array:
    """The upper Cholesky factor of the inverse of a curvature [I, I], to each of which a share of the mean is added.

    Row `i` of it says how the inputs behind `i` make up for an error in `i`, once those before are settled. Raises
    E911 for a curvature that is not finite.
    """
    if not np.isfinite(hessian).all():
        raise error("E911", "what a layer is given while its weight is chosen holds NaN or infinity")
    curvature = np.diag(hessian)
    # An input that is always 0 leaves its weights free: any curvature does.
    added = np.where(curvature > 0, 0.0, 1.0) + max(damping, 1e-8) * (curvature.mean() or 1.0)
    inverse = np.linalg.inv(hessian + np.diag(added))
    return np.linalg.cholesky((inverse + inverse.T) / 2).T
