"""What a comparison of two networks found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from architrave.backends.agree.part import Parting
from architrave.backends.agree.report import Comparison
from architrave.ir.source import printable

LISTED = 10
"""Outputs and states that are told one by one where they differ."""


@dataclass(frozen=True)
class Equality:
    """What was found of the networks called `a` and `b`.

    `problem` says why they cannot be the same function where their inputs or outputs already differ, `unclear` why what
    they give does not decide it. `parting` is the first place where numbers part, if there is one to name.
    """

    a: str
    b: str
    mode: str
    tolerance: float
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    runs: dict[int, list[Comparison]] = field(default_factory=dict[int, list[Comparison]])
    """By seed: the comparison of each output and new state."""
    problem: str | None = None
    unclear: str | None = None
    parting: Parting | None = None

    @property
    def ok(self) -> bool:
        """Whether something was compared and everything that was agrees."""
        rows = [row for rows in self.runs.values() for row in rows]
        return self.problem is self.unclear is None and bool(rows) and all(row.ok for row in rows)

    @property
    def worst(self) -> float:
        """The worst difference, over the largest number that was expected beside it."""
        return max((row.relative for rows in self.runs.values() for row in rows), default=float("inf"))

    def to_json(self) -> dict[str, Any]:
        """The result as JSON-ready data; a number that is not finite is null."""
        return {
            "a": self.a,
            "b": self.b,
            "mode": self.mode,
            "sizes": self.sizes,
            "seeds": list(self.runs),
            "worst": self.worst if math.isfinite(self.worst) else None,
            "tolerance": self.tolerance,
            "problem": self.problem
            or self.unclear
            or next((row.problem for row in self._failures() if row.problem), None),
            "parting": None if self.parting is None else self.parting.to_json(),
        }

    def lines(self) -> Iterator[str]:
        """The result in words, shortest first."""
        what = f"{self.a} and {self.b} in {self.mode}"
        if self.problem is not None:
            yield f"{what}: DIFFERENT: {self.problem}"
            return
        if self.unclear is not None:
            yield f"{what}: UNDECIDED: {self.unclear}"
            yield "  other weights or sizes may tell: `--weights`, `--size`"
            return
        if self.ok:
            times = f"{len(self.runs)} runs" if len(self.runs) != 1 else "1 run"
            yield f"{what}: equal; the worst difference in {times} is {self.worst:.1e} of the range"
            return
        yield f"{what}: DIFFERENT"
        yield from (f"  {_told(row)}" for row in self._failures()[:LISTED])
        if self.parting is not None:
            yield from (f"  {line}" for line in self.parting.lines(self.a, self.b))
        else:
            yield "  no place that both have has other numbers, so that there is nothing more to name"

    def _failures(self) -> list[Comparison]:
        """What differs, of the first run in which anything does."""
        for rows in self.runs.values():
            failing = [row for row in rows if not row.ok]
            if failing:
                return failing
        return []

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _told(row: Comparison) -> str:
    found = row.problem or f"differs by {row.relative:.1e} of the range, allowed {row.tolerance:.0e}"
    return f"{row.kind} `{printable(row.name)}`: {found}"
