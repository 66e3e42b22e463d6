"""Contractions by matrix products."""

from __future__ import annotations

import math

import numpy as np


def affine(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """`x @ weight.T + bias` for x [..., I] and weight [O, I], as one product: NumPy's own is one for each matrix."""
    y = x.reshape(math.prod(x.shape[:-1]), x.shape[-1]) @ weight.T
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], len(weight))


def einsum(equation: str, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`np.einsum` of two operands by one batched matrix product; each letter stands once in an operand."""
    inputs, out = equation.split("->")
    left, right = inputs.split(",")
    batch = [c for c in left if c in right and c in out]
    summed = [c for c in left if c in right and c not in out]
    rows = [c for c in left if c not in right and c in out]
    columns = [c for c in right if c not in left and c in out]
    a = _ordered(a, left, batch, rows, summed)
    b = _ordered(b, right, batch, summed, columns)
    y = _matrices(a, len(batch), len(rows)) @ _matrices(b, len(batch), len(summed))
    free = a.shape[len(batch) :][: len(rows)] + b.shape[len(batch) + len(summed) :]
    y = y.reshape(y.shape[: len(batch)] + free)
    order = [*batch, *rows, *columns]
    return y.transpose([order.index(c) for c in out])


def _ordered(x: np.ndarray, letters: str, *groups: list[str]) -> np.ndarray:
    """The axes of x in the order of the groups; an axis in none of them is summed."""
    order = [c for group in groups for c in group]
    alone = tuple(i for i, c in enumerate(letters) if c not in order)
    x = x.sum(axis=alone) if alone else x
    kept = [c for c in letters if c in order]
    return x.transpose([kept.index(c) for c in order])


def _matrices(x: np.ndarray, batch: int, rows: int) -> np.ndarray:
    """[*batch, *rows, *columns] as a batch of matrices."""
    lead, first, rest = x.shape[:batch], x.shape[batch : batch + rows], x.shape[batch + rows :]
    return x.reshape(*lead, math.prod(first), math.prod(rest))
