"""Weights without their zeros: the blocks that are left, in the formats CSR and BSR, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from architrave.ir.arrays import Array


@dataclass(frozen=True)
class Stored:
    """The blocks of a weight [O, I] that are not 0, as `linear_sparse` takes them.

    `values` are [n], or [n, P, Q] blocks, `columns` i32 [n], and those of row r of blocks are `starts[r]` up to
    `starts[r + 1]`, an i32 [O / P + 1].
    """

    values: Array
    columns: Array
    starts: Array

    def dense(self, width: int) -> Array:
        """The weight [O, width] with its zeros."""
        high, wide = self.values.shape[1:] or (1, 1)
        rows = len(self.starts) - 1
        grid = np.zeros((rows, width // wide, high, wide), self.values.dtype)
        row = np.repeat(np.arange(rows), np.diff(self.starts))
        grid[row, self.columns] = self.values.reshape(-1, high, wide)
        return grid.transpose(0, 2, 1, 3).reshape(rows * high, width)


def csr(weight: Array) -> Stored:
    """The numbers of a weight [O, I] that are not 0, row after row."""
    row, column = np.nonzero(weight)
    return Stored(weight[row, column], column.astype(np.int32), _starts(row, len(weight)))


def bsr(weight: Array, high: int, wide: int) -> Stored:
    """The blocks [high, wide] of a weight [O, I] in which something is not 0. Both sizes are multiples of a block's."""
    cut = _cut(weight, high, wide)
    row, column = np.nonzero(cut.any(axis=(2, 3)))
    return Stored(cut[row, column], column.astype(np.int32), _starts(row, len(cut)))


def filled(weight: Array, high: int, wide: int) -> int:
    """In how many blocks of a weight something is not 0."""
    return int(np.count_nonzero(_cut(weight, high, wide).any(axis=(2, 3))))


def _cut(weight: Array, high: int, wide: int) -> Array:
    """A weight as rows and columns of blocks."""
    out, width = weight.shape
    blocks: Array = weight.reshape(out // high, high, width // wide, wide).transpose(0, 2, 1, 3)
    return blocks


def _starts(row: Array, rows: int) -> Array:
    return np.searchsorted(row, np.arange(rows + 1)).astype(np.int32)
