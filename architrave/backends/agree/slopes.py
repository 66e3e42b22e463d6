"""Whether gradients are slopes: those of the oracle against differences of what it computes, in float64.

At a kink, where the difference to the left and the one to the right stay apart, a gradient must lie between the two.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from architrave.backends.agree.noise import ROUNDING
from architrave.ir.arrays import Array
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.storage import numpy_dtype
from architrave.ir.types import part_of

STEPS = (1, 0.1, 0.01, 10, 100)
"""Which step suits depends on the curvature and on rounding: multiples of the usual one."""


@dataclass(frozen=True)
class Slopes:
    """The sum of all `<output, cotangent>` of a graph without weights, near its inputs."""

    graph: Graph
    inputs: Sequence[Array]
    cotangents: Sequence[Array | None]

    def problem(self, gradients: Sequence[Array | None]) -> str | None:
        """What is wrong with gradients, one for each input: None where nothing is, or where there is no slope."""
        finite: list[Array | None] = [None if g is None else np.isfinite(g) for g in gradients]
        if self._is_slope(self._anywhere(finite), gradients):
            return None
        # Several kinks at once may hide one another: element by element they do not.
        for position, known in enumerate(finite):
            for place in [] if known is None else np.argwhere(known).tolist():
                if not all(self._is_slope(direction, gradients) for direction in self._along(position, tuple(place))):
                    return f"the gradient by input {position} at {place} is not the slope there"
        return None

    @cached_property
    def _rough(self) -> float:
        """The rounding of the coarsest float among inputs and outputs."""
        types = [v.type for v in (*self.graph.inputs, *self.graph.outputs) if differentiable(v.type)]
        return max(2 * ROUNDING[numpy_dtype(part_of(t.dtype)).name] for t in types)

    def _anywhere(self, finite: Sequence[Array | None]) -> list[Array | None]:
        """A direction in which all elements with a gradient move."""
        rng = np.random.default_rng(0)
        return [None if f is None else f * rng.uniform(0.5, 1.0, f.shape) for f in finite]

    def _along(self, position: int, place: tuple[int, ...]) -> Iterator[list[Array | None]]:
        """The directions in which one element can move: a complex one has two."""
        for unit in (1.0, 1j) if self.inputs[position].dtype.kind == "c" else (1.0,):
            moved = np.zeros(self.inputs[position].shape, type(unit))
            moved[place] = unit
            yield [moved if i == position else None for i in range(len(self.inputs))]

    def _is_slope(self, direction: Sequence[Array | None], gradients: Sequence[Array | None]) -> bool:
        found: list[float] = []
        for factor in STEPS:
            low, high = (self._at(direction, sign * factor * self._rough ** (1 / 3)) for sign in (-1, 1))
            length = 2 * factor * self._rough ** (1 / 3)
            claimed = _product(gradients, low[1], high[1]) / length
            found.append((high[0] - low[0]) / length)
            if abs(found[-1] - claimed) <= self._tolerance(direction, gradients, claimed):
                return True
        return not np.any(np.isfinite(found)) or self._is_kink(direction, gradients)

    def _is_kink(self, direction: Sequence[Array | None], gradients: Sequence[Array | None]) -> bool:
        """Whether differences on either side stay apart, however small the step, and the gradient lies between."""
        apart: list[float] = []
        narrow, claimed = (0.0, 0.0), 0.0
        for step in (1e-4, 1e-6):
            low, middle, high = (self._at(direction, sign * step) for sign in (-1, 0, 1))
            narrow = (middle[0] - low[0]) / step, (high[0] - middle[0]) / step
            apart.append(abs(narrow[1] - narrow[0]))
            claimed = _product(gradients, low[1], high[1]) / (2 * step)
        margin = self._tolerance(direction, gradients, claimed) + 1e-6
        return apart[1] > max(1e-3, apart[0] / 2) and min(narrow) - margin <= claimed <= max(narrow) + margin

    def _tolerance(self, direction: Sequence[Array | None], gradients: Sequence[Array | None], claimed: float) -> float:
        largest = max(float(np.max(np.abs(g), initial=0, where=np.isfinite(g))) for g in gradients if g is not None)
        return max(1e-7, 10 * math.pow(self._rough, 2 / 3)) * max(1.0, largest, abs(claimed))

    def _at(self, direction: Sequence[Array | None], step: float) -> tuple[float, list[Array]]:
        """The sum at a point, and the point as its dtypes hold it."""
        steps = zip(self.inputs, direction, self.graph.inputs, strict=True)
        moved = [
            x if d is None else (x + step * d).astype(numpy_dtype(v.dtype)).astype(np.result_type(x, d, np.float64))
            for x, d, v in steps
        ]
        outputs = interpret(self.graph, moved).outputs
        pairs = ((y, c) for y, c in zip(outputs, self.cotangents, strict=True) if c is not None)
        with np.errstate(all="ignore"):  # nothing flows back to what is infinite
            return float(sum(np.sum(np.where(c == 0, 0, y * np.conj(c))).real for y, c in pairs)), moved


def _product(gradients: Sequence[Array | None], low: Sequence[Array], high: Sequence[Array]) -> float:
    """What gradients say of the way between two points."""
    with np.errstate(all="ignore"):
        parts = [
            np.sum(np.where((a == b) | (a != a), 0, (b - a) * np.conj(g))).real
            for g, a, b in zip(gradients, low, high, strict=True)
            if g is not None
        ]
    return float(sum(parts))
