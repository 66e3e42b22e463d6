"""Observers: the range that numbers are cut to when they are rounded, chosen by a histogram of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.source import error, nearest
from architrave.record.histogram import Histogram

LEAST = float(np.finfo(np.float32).tiny)
"""The least scale: its inverse is a float32."""
MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Integers:
    """What numbers are rounded to: the bounds, whether there is a zero point, whether scales are powers of two."""

    low: int
    high: int
    has_zero: bool = False
    power_of_two: bool = False

    def fitted(self, low: float, high: float) -> tuple[float, int]:
        """The scale and the zero point with which the integers cover a range, and 0; of 0 alone, the scale is 1.

        Without a zero point both signs have the same scale. A power of two is the next larger one.
        """
        low, high = min(low, 0.0), max(high, 0.0)
        if low == high == 0 or (self.low == 0 and not self.has_zero and high == 0):
            return 1.0, self.low if self.has_zero else 0
        if self.has_zero:
            scale = self._scale((high - low) / (self.high - self.low))
            return scale, int(np.clip(np.rint(self.low - low / scale), self.low, self.high))
        return self._scale(max(high / self.high, low / self.low if self.low else 0.0)), 0

    def _scale(self, scale: float) -> float:
        wide = 2.0 ** np.ceil(np.log2(scale)) if self.power_of_two else scale
        return float(np.float32(np.clip(wide, LEAST, MOST)))

    def rounded(self, numbers: Array, scale: Array | float, zero: Array | int = 0) -> Array:
        """What is left of numbers, in float64; an estimate, for choosing: programs round by the operator's rule."""
        steps = np.clip(np.rint(numbers / scale) + zero, self.low, self.high)
        return (steps - zero) * scale


class Observer(ABC):
    """Chooses a range by what was seen. Where that is one number, or 0 alone, the range is from it to 0."""

    @abstractmethod
    def range(self, seen: Histogram, integers: Integers) -> tuple[float, float]:
        """The least and the largest number that is not cut off."""


@dataclass(frozen=True)
class MinMax(Observer):
    """All that was seen."""

    def range(self, seen: Histogram, integers: Integers) -> tuple[float, float]:
        return seen.low, seen.high


@dataclass(frozen=True)
class MovingAverage(Observer):
    """The bounds of the batches, averaged: a bound moves to that of the next batch by a share `1 - momentum`.

    Jacob and others, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
    (2018), section 3.1.
    """

    momentum: float = 0.9

    def range(self, seen: Histogram, integers: Integers) -> tuple[float, float]:
        low, high = seen.lows[0], seen.highs[0]
        for least, most in zip(seen.lows[1:], seen.highs[1:], strict=True):
            low += (1 - self.momentum) * (least - low)
            high += (1 - self.momentum) * (most - high)
        return low, high


@dataclass(frozen=True)
class Percentile(Observer):
    """All but the outermost `100 - percent` percent of the numbers, on each side.

    Without a zero point that many of the largest without their signs. McKinstry and others, "Discovering low-precision
    networks close to full-precision networks for efficient embedded inference" (2018).
    """

    percent: float = 99.99

    def range(self, seen: Histogram, integers: Integers) -> tuple[float, float]:
        if not 50 < self.percent <= 100:
            raise error("E913", f"a percentile of {self.percent} leaves nothing: it is above 50, and 100 at most")
        share = self.percent / 100
        if integers.has_zero:
            low, high = _quantile(-seen.centers, seen.counts, share), _quantile(seen.centers, seen.counts, share)
            return max(-low, seen.low), min(high, seen.high)
        reach = _quantile(np.abs(seen.centers), seen.counts, share)
        return max(-reach, seen.low), min(reach, seen.high)


@dataclass(frozen=True)
class _Search(Observer):
    """The range with the least cost among shares of all that was seen: of both ends first, then of each by itself."""

    candidates: int = 100

    def range(self, seen: Histogram, integers: Integers) -> tuple[float, float]:
        low, high = min(seen.low, 0.0), max(seen.high, 0.0)
        shares = np.arange(1, self.candidates + 1) / self.candidates
        ranges = [(low * s, high * s) for s in shares]
        best = self._best(seen, integers, ranges)
        if not integers.has_zero or low == 0 or high == 0:
            return best
        best = self._best(seen, integers, [best, *((low * s, best[1]) for s in shares)])
        return self._best(seen, integers, [best, *((best[0], high * s) for s in shares)])

    def _best(self, seen: Histogram, integers: Integers, ranges: list[tuple[float, float]]) -> tuple[float, float]:
        kept = seen.counts > 0
        centers, counts = seen.centers[kept], seen.counts[kept]
        costs = [self._cost(centers, counts, integers, *integers.fitted(*each)) for each in ranges]
        return ranges[int(np.argmin(costs))]

    @abstractmethod
    def _cost(self, centers: Array, counts: Array, integers: Integers, scale: float, zero: int) -> float: ...


@dataclass(frozen=True)
class MSE(_Search):
    """The range with the least squared error. With more than 10 bits it is `MinMax`: bins are as wide as steps then."""

    def range(self, seen: Histogram, integers: Integers) -> tuple[float, float]:
        if integers.high - integers.low >= seen.bins // 8:
            return seen.low, seen.high
        return super().range(seen, integers)

    def _cost(self, centers: Array, counts: Array, integers: Integers, scale: float, zero: int) -> float:
        error = integers.rounded(centers, scale, zero) - centers
        return float(counts @ (error * error))


@dataclass(frozen=True)
class Entropy(_Search):
    """The range with the least relative entropy between the numbers cut to it and the same after rounding.

    In each step of the integers what fell into its bins is spread evenly over those that are not empty. Migacz, "8-bit
    inference with TensorRT" (2017), the method of histograms. With more than 10 bits it is `MinMax`.
    """

    def range(self, seen: Histogram, integers: Integers) -> tuple[float, float]:
        if integers.high - integers.low >= seen.bins // 8:
            return seen.low, seen.high
        return super().range(seen, integers)

    def _cost(self, centers: Array, counts: Array, integers: Integers, scale: float, zero: int) -> float:
        steps = np.rint(centers / scale) + zero
        inside = (steps >= integers.low) & (steps <= integers.high)
        if not inside.any():
            return np.inf
        places = (steps[inside] - integers.low).astype(np.intp)
        held = counts[inside].astype(np.float64)
        wanted = held.copy()
        # What is cut off ends up in the outermost bins.
        first = int(np.argmax(inside))
        wanted[0] += counts[:first].sum()
        wanted[-1] += counts[first + len(held) :].sum()
        spread = np.bincount(places, held) / np.maximum(np.bincount(places), 1)
        p, q = wanted / wanted.sum(), spread[places] / held.sum()
        return float(p @ np.log(p / q))


OBSERVERS: Mapping[str, type[Observer]] = {
    "min-max": MinMax,
    "moving-average": MovingAverage,
    "percentile": Percentile,
    "mse": MSE,
    "entropy": Entropy,
}
"""Every observer by the name that the command line gives it."""


def observer(name: str) -> Observer:
    """The observer of that name, as it is by default. Raises E913."""
    if name not in OBSERVERS:
        hint = nearest(name, OBSERVERS) or f"there are {', '.join(OBSERVERS)}"
        raise error("E913", f"there is no observer `{name}`", hint=hint)
    return OBSERVERS[name]()


def _quantile(numbers: Array, counts: Array, share: float) -> float:
    """The least of the numbers that are not below a share of all."""
    order = np.argsort(numbers, kind="stable")
    reached = np.cumsum(counts[order])
    return float(numbers[order][np.searchsorted(reached, share * reached[-1])])
