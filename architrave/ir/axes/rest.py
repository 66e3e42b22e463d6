"""What is left of tensors of which coordinates are cut away."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from architrave.ir.dims import Size
from architrave.ir.types import TensorType

Coordinates: TypeAlias = NDArray[np.intp]
"""Coordinates along an axis, in their new order."""


@dataclass(frozen=True)
class Rest:
    """A tensor's type, and for each axis the coordinates that are left; None where all are."""

    before: TensorType
    kept: tuple[Coordinates | None, ...]

    @cached_property
    def shape(self) -> tuple[Size, ...]:
        """The sizes of what is left."""
        return tuple(s if k is None else len(k) for s, k in zip(self.before.shape, self.kept, strict=True))

    def count(self, axis: int, start: int, stop: int) -> int:
        """How many coordinates of an axis are left from `start` up to `stop`."""
        kept = self.kept[axis]
        return stop - start if kept is None else int(np.count_nonzero((kept >= start) & (kept < stop)))

    def groups(self, axis: int, groups: int) -> int:
        """In how many of `groups` equal parts of an axis something is left."""
        kept, size = self.kept[axis], self.before.shape[axis]
        if kept is None or not isinstance(size, int):
            return groups
        parts = kept // (size // groups)
        # A part that is there several times, never twice in a row, counts as often.
        repeated = len(np.unique(kept)) < len(kept)
        return 1 + int(np.count_nonzero(np.diff(parts))) if repeated else len(np.unique(parts))


@dataclass(frozen=True)
class Cut:
    """What is left around one operator: the new operator has to make these results of these operands."""

    operands: tuple[Rest, ...]
    results: tuple[Rest, ...]
