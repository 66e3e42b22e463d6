"""Input channels in an order in which N:M leaves more: Pool and Yu, "Channel Permutations for N:M Sparsity" (2021).

Channels are permuted wherever they occur, in the weights that make them and in all that take them, so that the network
computes what it did. What may be permuted follows from its dimension groups (`architrave.ir.axes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.axes.groups import Group, Groups, groups
from architrave.ir.axes.restrict import taken
from architrave.ir.graph import Graph
from architrave.passes.sparsify.uses import weight_uses
from architrave.sparsity.masks.pattern import NM

ROUNDS = 100
"""How often channels are exchanged for others, at most; each time as many as are not in one another's way."""
CHUNK = 1 << 22
"""Numbers that are compared at once."""
WORK = 1 << 28
"""Numbers that are compared in the first round, at most."""


@dataclass(frozen=True)
class Permuted:
    """The channels of one group in a new order, and the sum of magnitudes that a pattern leaves of what takes them."""

    group: str
    order: Array
    before: float
    after: float


def permuted(network: Graph, weights: Mapping[str, Any], pattern: NM) -> tuple[dict[str, Array], list[Permuted]]:
    """The weights of the same function whose largest numbers fit N:M better, and what was permuted.

    Channels stay in their order where the network needs it, such as those of its inputs, or where one is several
    inputs of a weight.
    """
    found = groups(network)
    arrays = {path: np.asarray(w) for path, w in weights.items()}
    made: list[Permuted] = []
    for group, parts in _rows(found, arrays, pattern).items():
        magnitudes = np.concatenate(parts)
        order = search(magnitudes, pattern.n, pattern.m)
        before, after = (leaves(columns, pattern.n, pattern.m) for columns in (magnitudes, magnitudes[:, order]))
        if after > before:
            arrays = taken(found, arrays, {group: order})
            made.append(Permuted(group.name, order, before, after))
    return arrays, made


def leaves(magnitudes: Array, n: int, m: int) -> float:
    """The sum of the `n` largest of each `m` neighbours in rows."""
    stripes = np.sort(magnitudes.reshape(len(magnitudes), -1, m), axis=2)
    return float(stripes[:, :, m - n :].sum())


def search(magnitudes: Array, n: int, m: int) -> Array:
    """An order of the columns of [rows, columns] magnitudes of which N:M leaves more, the same each time.

    From the order that is there on, two columns change places as long as that leaves more: those first that gain most.
    Of very many rows some are looked at, evenly spaced.
    """
    columns = magnitudes.shape[1]
    every = -(-magnitudes.size * columns // WORK)
    exchange = _Exchange(magnitudes[::every], n, m)
    for _ in range(ROUNDS):
        if not exchange.improve():
            break
    return exchange.order


class _Exchange:
    """Columns in an order, and for each place what its stripe leaves if another column stood there."""

    def __init__(self, magnitudes: Array, n: int, m: int) -> None:
        self.magnitudes = magnitudes.copy()
        self.n, self.m = n, m
        columns = magnitudes.shape[1]
        self.order: Array = np.arange(columns, dtype=np.int64)
        self.least = 1e-12 * float(magnitudes.max(initial=0))
        self.instead: Array = np.zeros((columns, columns))
        """[places, columns]: the sum that is left of the stripe of a place, with that column there."""
        self._look(self.order)

    def improve(self) -> bool:
        """Let columns change places that gain by it, each stripe once, the best first; whether any did."""
        own: Array = np.diagonal(self.instead)
        gains: Array = self.instead + self.instead.T - own[:, None] - own[None, :]
        stripe: Array = np.arange(len(self.order)) // self.m
        gains[stripe[:, None] >= stripe[None, :]] = -np.inf
        touched: Array = np.zeros(len(self.order) // self.m, np.bool_)
        best = np.argsort(-gains, axis=None, kind="stable")[: 8 * len(self.order)]
        for i, j in zip(*np.unravel_index(best, gains.shape), strict=True):
            if gains[i, j] <= self.least:
                break
            if touched[stripe[i]] or touched[stripe[j]]:
                continue
            touched[[stripe[i], stripe[j]]] = True
            self.order[[i, j]] = self.order[[j, i]]
            self.magnitudes[:, [i, j]] = self.magnitudes[:, [j, i]]
        self._look(np.flatnonzero(touched[stripe]))
        return bool(touched.any())

    def _look(self, places: Array) -> None:
        """Take anew what concerns some places: whole stripes.

        Without the column of a place its stripe keeps the `n - 1` largest for sure, and the larger one of the next and
        of the column that comes.
        """
        self.instead[places] = self._left(places, self.magnitudes)
        others = np.setdiff1d(np.arange(len(self.order)), places)
        self.instead[np.ix_(others, places)] = self._left(others, self.magnitudes[:, places])

    def _left(self, places: Array, columns: Array) -> Array:
        """[places, columns]: what stripes leave with those columns at their places."""
        rows = len(self.magnitudes)
        stripes = self.magnitudes[:, places].reshape(rows, -1, self.m)
        without = np.stack([np.delete(stripes, k, axis=2) for k in range(self.m)], axis=2)
        ranked = np.sort(without, axis=3)[..., ::-1].reshape(rows, len(places), self.m - 1)
        left: Array = np.empty((len(places), columns.shape[1]))
        step = max(1, CHUNK // max(1, columns.size))
        for start in range(0, len(places), step):
            following = ranked[:, start : start + step, self.n - 1, None]
            left[start : start + step] = np.maximum(following, columns[:, None, :]).sum(axis=0)
        left += ranked[..., : self.n - 1].sum(axis=(0, 2))[:, None]
        return left


def _rows(found: Groups, weights: Mapping[str, Array], pattern: NM) -> dict[Group, list[Array]]:
    """For each group that may be permuted, the magnitudes that lie along it in weights that get the pattern."""
    rows: dict[Group, list[Array]] = {}
    for use in weight_uses(found.graph):
        if use.refusal is not None or use.axes is None or len(use.axes.inputs) != 1 or pattern.n == pattern.m:
            continue
        axis = use.axes.inputs[0]
        array = np.abs(weights[use.path].astype(np.float64))
        along = found.along(use.weight, axis)
        if array.shape[axis] % pattern.m == 0 and len(along) == 1 and _is_plain(along[0], use.path, axis):
            rows.setdefault(along[0], []).append(np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis]))
    return rows


def _is_plain(group: Group, path: str, axis: int) -> bool:
    """Whether the units of a group may be permuted, and are the coordinates of an axis one by one."""
    places = next((member.places for member in group.members if (member.path, member.axis) == (path, axis)), None)
    return group.ordered is None and places is not None and np.array_equal(places, np.arange(group.size)[:, None])
