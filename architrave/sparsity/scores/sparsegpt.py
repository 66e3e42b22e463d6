"""SparseGPT: numbers go that change the result of their layer least, and those behind make up for them.

Frantar and Alistarh, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot" (2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from architrave.ir.arrays import Array
from architrave.record.compensate import compensated
from architrave.sparsity.masks.pattern import n_of_m
from architrave.sparsity.masks.selection import largest
from architrave.sparsity.scores.layerwise import Rows, layerwise
from architrave.sparsity.scores.plan import Task


@dataclass(frozen=True)
class SparseGPT:
    """`damping` is the share of the mean curvature added to each; masks are chosen for `block` inputs at once."""

    damping: float = 0.01
    block: int = 128

    def __call__(self, task: Task) -> dict[str, Array]:
        """The weights under masks. Raises what `layerwise` does."""
        return layerwise(task, self.chosen)

    def chosen(self, rows: Rows) -> tuple[Array, Array]:
        """Masks of N:M are chosen for M inputs at once, others for a block."""
        inputs = len(rows.hessian)
        size = self.block if rows.few is None else rows.few.m
        mask = np.zeros(rows.weight.shape, np.bool_)

        def settle(i: int, left: Array, inverse: Array) -> Array:
            if i % size == 0:
                where = slice(i, min(i + size, inputs))
                changes = np.square(left[:, where] / np.diag(inverse)[where])
                mask[:, where] = self._mask(rows, changes, where)
            return np.where(mask[:, i], left[:, i], 0)

        # What is always multiplied by 0 is the first to go.
        weight = np.where(np.diag(rows.hessian) > 0, rows.weight, 0)
        whole = size * max(1, self.block // size)
        return mask, compensated(weight, rows.hessian, settle, self.damping, whole)

    def _mask(self, rows: Rows, changes: Array, where: slice) -> Array:
        if rows.few is not None:
            return n_of_m(changes, rows.few.n, rows.few.m)
        inputs = len(rows.hessian)
        return largest(changes, rows.kept * where.stop // inputs - rows.kept * where.start // inputs)
