"""Ranks for all layers at once: those whose largest relative error is least within a budget."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.source import error
from architrave.passes.factorize.ranks import Rank


@dataclass(frozen=True)
class Choices:
    """What a layer can be cut down to: sizes [n], ascending, errors [n], descending, and ranks [n, d].

    None of them is at most as large and at most as bad as another, and all are smaller than the layer as it is, of the
    size `dense`, which has no error.
    """

    dense: int
    sizes: Array
    errors: Array
    ranks: Array

    @classmethod
    def of(cls, dense: int, sizes: Array, errors: Array, ranks: Array) -> Choices:
        """The choices worth having of any."""
        order = np.lexsort((errors, sizes))
        best = np.minimum.accumulate(np.append(np.inf, errors[order]))
        worth = order[(errors[order] < best[:-1]) & (sizes[order] < dense)]
        return cls(dense, sizes[worth], errors[worth], ranks[worth])

    def at(self, level: float) -> int:
        """The number of the smallest choice whose error is at most a level; as many as there are for none."""
        return int(np.searchsorted(-self.errors, -level))

    def size(self, level: float) -> int:
        """Its size."""
        number = self.at(level)
        return int(self.sizes[number]) if number < len(self.sizes) else self.dense

    def least(self) -> int:
        """The smallest size there is."""
        return int(self.sizes[0]) if len(self.sizes) else self.dense


@dataclass(frozen=True)
class Allocation:
    """A rank for each layer that is cut down, by name; and the error of each, of which `level` bounds all."""

    level: float
    ranks: Mapping[str, Rank] = field(default_factory=dict[str, Rank])
    errors: Mapping[str, float] = field(default_factory=dict[str, float])


def at_level(choices: Mapping[str, Choices], level: float) -> Allocation:
    """The smallest ranks whose relative errors are at most a level."""
    picked = {name: (found, found.at(level)) for name, found in choices.items()}
    chosen = {name: (found, n) for name, (found, n) in picked.items() if n < len(found.sizes)}
    ranks = {name: tuple(map(int, found.ranks[n])) for name, (found, n) in chosen.items()}
    return Allocation(level, ranks, {name: float(found.errors[n]) for name, (found, n) in chosen.items()})


def within(choices: Mapping[str, Choices], fixed: int, budget: float, whole: int, what: str) -> Allocation:
    """The ranks whose largest error is least, when all layers together with what is `fixed` take at most a budget.

    The search over the level of the error halves what is left of all errors there are. At each level every layer takes
    the smallest of its choices by itself, so that what is found is the best there is: section 3 of Liebenwein and
    others, "Compressing Neural Networks: Towards Determining the Optimal Layer-wise Decomposition" (2021), where a
    local search stands in the place of comparing all choices. Raises E930, with the nearest budget that can be met.
    """
    least = fixed + sum(found.least() for found in choices.values())
    if not budget >= least:  # nor is what is not a number
        reached = f"{least:,} {what}, {least / max(whole, 1):.4g} of {whole:,}, are the fewest that can be reached"
        raise error("E930", f"no ranks leave {budget:,.0f} {what} or fewer", hint=reached)
    levels = _levels(list(choices.values()))

    def fits(level: float) -> bool:
        return fixed + sum(found.size(level) for found in choices.values()) <= budget

    return at_level(choices, float(levels[bisect_left(levels, True, key=fits)]))


def _levels(choices: Sequence[Choices]) -> Array:
    """All errors there are, and none, ascending."""
    return np.unique(np.concatenate([np.zeros(1), *(found.errors for found in choices)]))
