"""Wanda: numbers go whose absolute value times the length of their input is small.

Sun, Liu, Bair and Kolter, "A Simple and Effective Pruning Approach for Large Language Models" (2024).
"""

from __future__ import annotations

import numpy as np

from architrave.ir.arrays import Array
from architrave.sparsity.masks.pattern import n_of_m
from architrave.sparsity.masks.selection import largest
from architrave.sparsity.scores.layerwise import Rows, layerwise
from architrave.sparsity.scores.plan import Task


def wanda(task: Task) -> dict[str, Array]:
    """The weights under masks, each output's numbers compared with one another. Raises what `layerwise` does."""
    return layerwise(task, chosen)


def chosen(rows: Rows) -> tuple[Array, Array]:
    """As many in each row, or one more in some, up to what all keep together."""
    scores = np.abs(rows.weight) * np.sqrt(np.diag(rows.hessian))
    if rows.few is not None:
        return n_of_m(scores, rows.few.n, rows.few.m), rows.weight
    outputs, inputs = scores.shape
    each = rows.kept // outputs
    mask = n_of_m(scores, each, inputs)
    more = largest(np.where(mask, -np.inf, scores), rows.kept - each * outputs)
    return mask | more, rows.weight
