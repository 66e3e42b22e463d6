"""When masks are chosen in the course of training, and how dense they are then."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from architrave.ir.source import error
from architrave.sparsity.masks.density import check_density


@dataclass(frozen=True)
class Gradual:
    """Densities that fall from `initial` to `final`, fast at first, in `updates` times `every` steps from `begin` on.

    The sparsity after `t` steps is `s_f + (s_i - s_f) * (1 - (t - begin) / (updates * every)) ** 3`, as in Zhu and
    Gupta, "To prune, or not to prune" (2017). Masks are chosen after `begin` steps for the first time, and for the last
    time after `end`. Raises E925 for what is no schedule.
    """

    final: float
    begin: int
    every: int
    updates: int
    initial: float = 1.0

    def __post_init__(self) -> None:
        check_density(self.final, "the density at the end")
        check_density(self.initial, "the density at first")
        for name, least in (("begin", 0), ("every", 1), ("updates", 1)):
            if getattr(self, name) < least:
                what = f"a schedule of densities takes {least} or more for `{name}`, not {getattr(self, name)}"
                raise error("E925", what)
        if self.initial < self.final:
            raise error("E925", f"a density cannot fall from {self.initial:g} to {self.final:g}")

    @classmethod
    def over(cls, final: float, begin: int, end: int, every: int, initial: float = 1.0) -> Gradual:
        """The schedule that is over after at most `end` steps, or after one turn of `every`."""
        return cls(final, begin, every, max(1, (end - begin) // max(1, every)), initial)

    @classmethod
    def at_once(cls, final: float, step: int = 0) -> Gradual:
        """All at once, after so many steps."""
        return cls(final, step, 1, 1, final)

    @property
    def end(self) -> int:
        """The steps after which masks are as they stay."""
        return self.begin if self.initial == self.final else self.begin + self.updates * self.every

    def is_due(self, step: int) -> bool:
        """Whether masks are chosen after so many steps."""
        return self.begin <= step <= self.end and (step - self.begin) % self.every == 0

    def density(self, step: int) -> float:
        """The share of numbers that stay after so many steps; exactly `initial` at first and `final` in the end."""
        if step <= self.begin:
            return self.initial if step == self.begin else 1.0
        if step >= self.end:
            return self.final
        first, last = (1 - Fraction(str(float(density))) for density in (self.initial, self.final))
        left = 1 - Fraction(step - self.begin, self.updates * self.every)
        return float(1 - (last + (first - last) * left**3))
