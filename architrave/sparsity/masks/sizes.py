"""What sparse weights take: numbers that are not 0, and what says where they stand.

The formats are those that Zhu and Gupta, "To prune, or not to prune" (2017), weigh against small dense networks (a bit
for each number, or rows with the columns of what is there), and groups of `m` numbers along the inputs of which `n` are
held (Mishra and others, "Accelerating Sparse Deep Neural Networks", 2021).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.passes.sparsify.mask import mask_sites
from architrave.passes.sparsify.uses import Axes, weight_uses

VALUE_BITS = 32
GROUPS = (4, 8, 16, 32)
"""The groups of numbers that are looked for, `m` of N:M."""


@dataclass(frozen=True)
class Sizes:
    """A weight: how many numbers it has, how many are not 0, and the bytes that each format takes.

    `few` is the N:M that it keeps with the smallest share, None where it keeps none; `nm` are the bytes in it.
    `reason` says why it has no mask, where it could not have one.
    """

    path: str
    shape: tuple[int, ...]
    nonzeros: int
    bitmask: int
    csr: int
    few: tuple[int, int] | None = None
    nm: int | None = None
    reason: str | None = None

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def density(self) -> float:
        """The share of its numbers that are not 0."""
        return self.nonzeros / max(1, self.size)

    @property
    def dense(self) -> int:
        """The bytes of all its numbers."""
        return self.size * VALUE_BITS // 8

    @property
    def formats(self) -> dict[str, int]:
        """The bytes by format."""
        few = {} if self.nm is None or self.few is None else {"{}:{}".format(*self.few): self.nm}
        return {**few, "dense": self.dense, "bitmask": self.bitmask, "csr": self.csr}

    @property
    def smallest(self) -> str:
        """The format that takes least."""
        return min(self.formats, key=lambda name: self.formats[name])


def sizes(graph: Graph, weights: Mapping[str, Any]) -> list[Sizes]:
    """The matrices and kernels of a network, with masks or with zeros in the place of them."""
    sites = {site.weight: site for site in mask_sites(graph)}
    found: list[Sizes] = []
    for use in weight_uses(graph):
        array = np.asarray(weights[use.path])
        site = sites.get(use.weight)
        if site is None:
            found.append(measured(use.path, array, use.axes, use.refusal))
        else:
            masked = np.where(weights[site.mask_path], array, 0)
            found.append(measured(use.path, masked, site.use(graph).axes))
    return found


def measured(path: str, array: Array, axes: Axes | None = None, reason: str | None = None) -> Sizes:
    """What one weight takes in each format. Rows are its outputs; axis 0 where nobody knows them."""
    rows = array.shape[axes.outputs[0] if axes is not None and axes.outputs else 0]
    columns = array.size // max(1, rows)
    nonzeros = int(np.count_nonzero(array))
    few = None if axes is None or len(axes.inputs) != 1 else few_of(array, axes.inputs[0])
    held = None if few is None else nm_bytes(array.size, *few)
    return Sizes(
        path, array.shape, nonzeros, bitmask(array.size, nonzeros), csr(rows, columns, nonzeros), few, held, reason
    )


def bitmask(size: int, nonzeros: int) -> int:
    """Bytes of the numbers that are there, and a bit for each that could be."""
    return _bytes(nonzeros * VALUE_BITS + size)


def csr(rows: int, columns: int, nonzeros: int) -> int:
    """Bytes of rows of numbers with their columns, in integers of 8, 16, 32 or 64 bits, and where each row begins."""
    return _bytes(nonzeros * (VALUE_BITS + _index(columns - 1)) + (rows + 1) * _index(nonzeros))


def nm_bytes(size: int, n: int, m: int) -> int:
    """Bytes of `n` of each `m` numbers, and the place in its group of each."""
    held = size // m * n
    return _bytes(held * (VALUE_BITS + (m - 1).bit_length()))


def few_of(array: Array, axis: int) -> tuple[int, int] | None:
    """The N:M along an axis with the smallest share that an array keeps; None where no group leaves a number out."""
    found: list[tuple[int, int]] = []
    for m in (m for m in GROUPS if array.shape[axis] % m == 0):
        groups: Array = np.moveaxis(array, axis, -1).reshape(-1, m)
        found.append((int(np.count_nonzero(groups, axis=1).max(initial=0)), m))
    few = [(n, m) for n, m in found if 0 < n < m]
    return min(few, key=lambda nm: (nm[0] / nm[1], nm[1]), default=None)


def _index(largest: int) -> int:
    """The bits of an integer from 0 to `largest`."""
    return next(bits for bits in (8, 16, 32, 64) if largest < 2**bits)


def _bytes(bits: int) -> int:
    return -(-bits // 8)
