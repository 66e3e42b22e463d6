"""Functions of matrices by other formulas."""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ir.apply import Array


def per_matrix(function: Callable[[Array], Any], a: Array) -> Array:
    found = [function(a[place]) for place in np.ndindex(*a.shape[:-2])]
    shape = np.shape(found[0]) if found else np.shape(function(np.zeros(a.shape[-2:])))
    return np.array(found, float).reshape((*a.shape[:-2], *shape))


def leibniz(a: Array) -> float:
    """A determinant as the sum over all permutations."""
    orders = itertools.permutations(range(len(a)))
    return sum(np.linalg.det(np.eye(len(a))[list(p)]) * math.prod(a[i, j] for i, j in enumerate(p)) for p in orders)


def adjugate(a: Array) -> Array:
    """Determinants of what is left without a row and a column."""
    minors = [[leibniz(np.delete(np.delete(a, i, 0), j, 1)) for j in range(len(a))] for i in range(len(a))]
    return np.array([[(-1) ** (i + j) * minors[j][i] for j in range(len(a))] for i in range(len(a))]).reshape(a.shape)


def regular(a: Array) -> bool:
    return bool((np.abs(np.linalg.det(a)) > 1e-9).all())


def product(factors: list[Array], like: Array) -> Array:
    return functools.reduce(np.matmul, factors, np.eye(len(like)))


def taylor(a: Array) -> Array:
    """The exponential as the limit of its series, on a matrix that is halved until it is small."""
    halvings = 20
    small, term = a / 2**halvings, np.eye(len(a))
    result = np.zeros(a.shape)  # of `exp - 1`, so that halving loses nothing
    for k in range(1, 20):
        term = term @ small / k
        result = result + term
    for _ in range(halvings):
        result = 2 * result + result @ result
    return np.eye(len(a)) + result


def pinv(a: Array, rtol: float = 1e-6) -> Array:
    """From the eigenvectors of `a' a`, where that is well conditioned; NumPy's own elsewhere."""
    if not a.size:
        return np.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]))
    turned = np.swapaxes(a, -1, -2).astype(float)
    values, vectors = np.linalg.eigh(turned @ a)
    if values.min() < 1e-3 * values.max() or np.shape(a)[-2] < np.shape(a)[-1]:
        return np.linalg.pinv(a, rcond=rtol)
    return vectors / values[..., None, :] @ np.swapaxes(vectors, -1, -2) @ turned


MATRICES: dict[str, Callable[..., Any]] = {
    "inverse": lambda a: per_matrix(adjugate, a) / np.linalg.det(a)[..., None, None] if regular(a) else None,
    "det": lambda a: per_matrix(leibniz, a),
    "matrix_power": lambda a, n: per_matrix(lambda m: product([m if n > 0 else np.linalg.inv(m)] * abs(n), m), a),
    "matrix_exp": lambda a: per_matrix(taylor, a),
    "pinv": pinv,
    "lstsq": lambda a, b, rtol=1e-6: pinv(a, rtol) @ b,
}
"""Composites by other formulas; None where a formula does not hold for a sample."""
