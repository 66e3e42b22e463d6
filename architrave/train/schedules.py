"""Learning rates over time: a factor of the base rate for each step, computed on the host in float64.

The rate enters the step as a number, so that a run may be resumed, or its schedule changed, without another program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from architrave.ir.source import error

SHAPES = ("constant", "cosine", "linear", "step", "exponential", "one-cycle")
FIRST = 1 / 25
"""The share of the rate that one-cycle begins with."""


@dataclass(frozen=True)
class Schedule:
    """The base rate times `shape` of how far the run is, after a linear warm-up over the first `warmup` steps.

    `shape` is "constant"; "cosine", half a wave down to `end` (Loshchilov and Hutter, "SGDR", 2017); "linear", down to
    `end`; "step", times `factor` every `every` steps; "exponential", times `factor` in the course of `every` steps; or
    "one-cycle", half a wave up from a 25th within the warm-up, by default 3 tenths of all steps, and another down to
    `end` (Smith and Topin, "Super-Convergence", 2018). `end` is a share of the base rate.
    """

    rate: float
    steps: int
    shape: str = "constant"
    warmup: int = 0
    end: float = 0.0
    every: int = 0
    factor: float = 0.1

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise error("E541", f"there is no schedule `{self.shape}`", hint=f"it is one of {', '.join(SHAPES)}")
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise error("E541", f"a learning rate is above 0, not {self.rate}")
        if self.shape in ("step", "exponential") and self.every < 1:
            raise error("E541", f"a schedule of shape {self.shape} needs `every`, a number of steps above 0")

    def __call__(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        if self.shape == "one-cycle":
            return self.rate * self._cycle(step)
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        return self.rate * self._share(step - self.warmup)

    def _share(self, step: int) -> float:
        """The share of the base rate, for a step after the warm-up."""
        left = 1 - min(1.0, step / max(1, self.steps - self.warmup))
        match self.shape:
            case "cosine":
                return _wave(self.end, 1.0, left)
            case "linear":
                return self.end + (1 - self.end) * left
            case "step":
                return math.pow(self.factor, step // self.every)
            case "exponential":
                return math.pow(self.factor, step / self.every)
            case _:
                return 1.0

    def _cycle(self, step: int) -> float:
        """The share of the base rate, on the one wave of the whole run."""
        top = (self.warmup or 0.3 * self.steps) - 1
        if step <= top:
            return _wave(FIRST, 1.0, step / top if top else 1.0)
        return _wave(1.0, self.end, min(1.0, (step - top) / max(1e-9, self.steps - 1 - top)))


def _wave(start: float, end: float, share: float) -> float:
    """From one number to another along half a wave."""
    return start + (end - start) * (1 - math.cos(math.pi * share)) / 2
