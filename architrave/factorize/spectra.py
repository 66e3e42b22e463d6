"""Singular values of the matrices that kernels are, and what is lost without the smallest of them."""

from __future__ import annotations

from typing import Literal

import numpy as np

from architrave.ir.arrays import Array

Measure = Literal["spectral", "energy"]
"""The largest singular value that is left out over the largest there is; or the root of their squares' shares."""


def singular_values(matrices: Array) -> Array:
    """[G, M, N] -> [G, min(M, N)], descending, float64.

    By the eigenvalues of the smaller Gram matrix: several times as fast as a decomposition, and the squares are right
    to the precision of float64, which is enough to choose ranks by.
    """
    wide = np.asarray(matrices, np.float64)
    wide = wide if wide.shape[1] <= wide.shape[2] else wide.swapaxes(1, 2)
    squares = np.linalg.eigvalsh(wide @ wide.swapaxes(1, 2))[:, ::-1]
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


def losses(values: Array, whole: float, measure: Measure) -> Array:
    """The relative error at rank 1, 2, ... of slices with singular values [G, R], of a matrix of a norm: [R].

    `whole` is the spectral norm of the matrix, or the Frobenius norm for `energy`. Of several slices the spectral one
    is a bound, `sqrt(G) / whole * max sigma[j + 1]`: theorem 1 of Liebenwein and others (2021).
    """
    if measure == "energy":
        tails = np.cumsum((values**2).sum(axis=0)[::-1])[::-1]
        return np.asarray(np.sqrt(np.append(tails[1:], 0.0)) / (whole or 1.0))
    beyond = np.append(values.max(axis=0)[1:], 0.0)
    return np.asarray(np.sqrt(len(values)) * beyond / (whole or 1.0))


def norm(values: Array, measure: Measure) -> float:
    """The norm of a matrix by the singular values [G, R] of its slices, where it is block diagonal or one block."""
    return float(np.sqrt((values**2).sum()) if measure == "energy" else values.max(initial=0.0))
