"""What a chain of maps is as one weight, and how far that is from the weight it stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from architrave.ir.arrays import Array


@dataclass(frozen=True)
class Map:
    """A weight [O, I / groups, *K] of a map in groups."""

    weight: Array
    groups: int = 1

    def whole(self) -> Array:
        """The weight of the same map without groups, [O, I, *K]: zeros where groups do not see each other."""
        out, share, *kernel = self.weight.shape
        each = out // self.groups
        full = np.zeros((out, share * self.groups, *kernel))
        for g in range(self.groups):
            full[g * each : (g + 1) * each, g * share : (g + 1) * share] = self.weight[g * each : (g + 1) * each]
        return full


def product(maps: Sequence[Map]) -> Array:
    """The weight [O, I, *K] of maps one after another, along each axis of which at most one has several taps."""
    first, *others = (each.whole() for each in maps)
    for second in others:
        first = _product(second, first)
    return first


def relative_error(found: Array, weight: Map) -> float:
    """The Frobenius norm of the difference over that of the weight; 0 for weights that are 0."""
    whole = weight.whole()
    length = float(np.linalg.norm(whole))
    return float(np.linalg.norm(found - whole)) / length if length else 0.0


def decibels(error: float) -> float:
    """The ratio of signal to noise that a relative error is."""
    return -20 * math.log10(error) if error > 0 else math.inf


def _product(second: Array, first: Array) -> Array:
    (out, middle, *outer), (_, inputs, *inner) = second.shape, first.shape
    taps, own = math.prod(outer), math.prod(inner)
    left = second.reshape(out, middle, taps).transpose(0, 2, 1).reshape(out * taps, middle)
    made = left @ first.reshape(middle, inputs * own)
    made = made.reshape(out, *outer, inputs, *inner)
    rank = len(outer)
    order = (0, rank + 1, *(axis for i in range(rank) for axis in (1 + i, rank + 2 + i)))
    sizes = (a * b for a, b in zip(outer, inner, strict=True))
    return made.transpose(order).reshape(out, inputs, *sizes)
