"""Streaming histograms, which do not depend on how the numbers came in batches, nor in which order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from architrave.ir.arrays import Array

BINS = 8192
"""The most bins of a histogram: 32 for each integer of 8 bits, or half of that at worst."""
FINEST = -120
"""The width of bins is at least 2 to this power: the inverse is still a float32."""
_CHUNK = 1 << 16
"""Numbers that are counted at once: they and what is computed of them stay in the cache."""


@dataclass
class Histogram:
    """How often numbers fell into bins around 0, and the bounds of each batch.

    The width of the bins is the least power of two with which all numbers so far, and 0, are within `bins` of them, and
    bins begin at its multiples: as the width doubles, pairs of bins become one, exactly.
    """

    bins: int = BINS
    exponent: int = FINEST
    first: int = 0
    """The number of the first bin: it begins at `first * 2 ** exponent`."""
    counts: Array = field(default_factory=lambda: np.zeros(1, np.int64))
    lows: list[float] = field(default_factory=list[float])
    highs: list[float] = field(default_factory=list[float])

    @property
    def low(self) -> float:
        """The least number seen."""
        return min(self.lows)

    @property
    def high(self) -> float:
        """The largest number seen."""
        return max(self.highs)

    @property
    def total(self) -> int:
        """How many numbers were seen."""
        return int(self.counts.sum())

    @property
    def edges(self) -> Array:
        """Where the bins begin, and the end of the last."""
        return (np.arange(len(self.counts) + 1) + self.first) * 2.0**self.exponent

    @property
    def centers(self) -> Array:
        """The middle of each bin; of one with zeros alone, 0."""
        middles = (np.arange(len(self.counts)) + self.first + 0.5) * 2.0**self.exponent
        return np.zeros(1) if self.low == self.high == 0 else middles

    def add(self, numbers: Array) -> None:
        """Count the numbers of a batch. They must be finite; of an empty batch nothing is seen."""
        flat = np.ascontiguousarray(numbers, np.float32).reshape(-1)
        if not flat.size:
            return
        low, high = float(flat.min()), float(flat.max())
        self.lows.append(low)
        self.highs.append(high)
        self._reach(low, high)
        # A small number times less than 1 may be 0 in float32, and a negative one would lose its bin.
        scale = np.float32(2.0**-self.exponent) if self.exponent <= 0 else np.float64(2.0**-self.exponent)
        for start in range(0, flat.size, _CHUNK):
            places = np.floor(flat[start : start + _CHUNK] * scale).astype(np.intp) - self.first
            self.counts += np.bincount(places, minlength=len(self.counts))

    def _reach(self, low: float, high: float) -> None:
        """Make the bins cover two more numbers."""
        begin, end = self.edges[[0, -1]]
        low, high = min(low, begin), max(high, math.nextafter(end, -math.inf))
        exponent = self.exponent
        while math.floor(high * 2.0**-exponent) - math.floor(low * 2.0**-exponent) >= self.bins:
            exponent += 1
        while self.exponent < exponent:
            self._merge()
        first, last = (math.floor(x * 2.0**-exponent) for x in (low, high))
        before, after = self.first - first, last - self.first - len(self.counts) + 1
        self.first, self.counts = first, np.pad(self.counts, (before, after))

    def _merge(self) -> None:
        """Make one bin of each two, which begin at an even number."""
        counts = np.pad(self.counts, (self.first % 2, (self.first + len(self.counts)) % 2))
        self.counts = counts.reshape(-1, 2).sum(axis=1)
        self.first //= 2
        self.exponent += 1


def rows(array: Array, shape: Sequence[int]) -> Array:
    """The numbers that share one element of `shape`, which broadcasts against the array: `[elements, numbers]`."""
    kept = [i for i, size in enumerate(shape, array.ndim - len(shape)) if size != 1]
    moved = np.moveaxis(array, kept, range(len(kept)))
    return moved.reshape(math.prod(shape), -1)
