"""What a verification found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from architrave.ir.graph import Node
from architrave.ir.source import printable

ORACLE = "oracle"


@dataclass(frozen=True)
class Comparison:
    """One result of two witnesses. `relative` is the worst difference over the largest expected number.

    `kind` is `output`, `state`, `gradient`, `compile` or `run`; `name` is the value's name or the weight's path.
    `problem` says what is wrong where it is not a matter of numbers. Where `noise` is not zero, rounding alone moves
    the result by more than its tolerance would be, and `tolerance` has been raised to it.
    """

    mode: str
    dtype: str
    kind: str
    name: str
    left: str
    right: str
    absolute: float
    relative: float
    tolerance: float
    problem: str | None = None
    noise: float = 0.0

    @property
    def ok(self) -> bool:
        return self.problem is None and self.relative <= self.tolerance

    def __str__(self) -> str:
        found = self.problem or f"relative error {self.relative:.1e}, allowed {self.tolerance:.0e}"
        return f"{self.left} and {self.right}, {self.mode}, {self.dtype}: {self.kind} `{self.name}`: {found}"


@dataclass(frozen=True)
class Divergence:
    """Where two witnesses part ways: the first node whose operands agree and whose result does not.

    Forward that is the first in topological order; of gradients it is the first that is met from the outputs.
    """

    backend: str
    mode: str
    dtype: str
    op: str
    place: str
    span: str | None
    line: str | None
    problem: str

    @classmethod
    def at(cls, node: Node, backend: str, mode: str, dtype: str, problem: str) -> Divergence:
        """The divergence at a node, with its source line."""
        place, span = str(node.place or ""), node.span
        if span is None:
            return cls(backend, mode, dtype, node.op.name, place, None, None, problem)
        line = printable(span.source.line(span.line).strip())
        return cls(backend, mode, dtype, node.op.name, place, printable(str(span)), line, problem)

    def __str__(self) -> str:
        where = f" at {self.span}: {self.line}" if self.span else ""
        inside = f" in `{self.place}`" if self.place else ""
        return (
            f"{self.backend}, {self.mode}, {self.dtype}: first differs at `{self.op}`{inside}{where} ({self.problem})"
        )


@dataclass(frozen=True)
class Report:
    """What was compared, what was left out and why, and where backends that disagree part ways."""

    model: str
    sizes: dict[str, int]
    seed: int
    comparisons: list[Comparison] = field(default_factory=list[Comparison])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    """What did not run (`jax`, `torch in training mode`, `training`), and why."""
    divergences: list[Divergence] = field(default_factory=list[Divergence])

    @property
    def ok(self) -> bool:
        """Whether something was compared and everything that was agrees."""
        return bool(self.comparisons) and all(c.ok for c in self.comparisons)

    @property
    def failures(self) -> list[Comparison]:
        return [c for c in self.comparisons if not c.ok]

    def missing(self, backends: Sequence[str]) -> list[str]:
        """Those of `backends` that were compared with nothing."""
        compared = {name for c in self.comparisons for name in (c.left, c.right)}
        return [name for name in backends if name not in compared]

    def worst(self) -> list[Comparison]:
        """The worst comparison of each pair, mode, dtype and kind: the rows of a short table."""
        rows: dict[tuple[str, ...], Comparison] = {}
        for c in self.comparisons:
            key = (c.mode, c.dtype, c.kind, c.left, c.right)
            if key not in rows or _badness(c) > _badness(rows[key]):
                rows[key] = c
        return list(rows.values())

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready data; a number that is not finite is null."""
        return {
            "model": self.model,
            "ok": self.ok,
            "sizes": self.sizes,
            "seed": self.seed,
            "comparisons": [_finite(asdict(c) | {"ok": c.ok}) for c in self.comparisons],
            "skipped": self.skipped,
            "divergences": [asdict(d) for d in self.divergences],
        }

    def lines(self) -> Iterator[str]:
        """The report in words, shortest first."""
        verdict = "agree" if self.ok else "DISAGREE" if self.comparisons else "were not compared"
        yield f"{self.model}: the backends {verdict}"
        for what, why in self.skipped.items():
            yield f"  skipped {what}: {why}"
        for (mode, dtype, kind), noise in self._noises().items():
            yield f"  {kind}s in {mode}, {dtype}: rounding alone may change them by {noise:.1e}, which is allowed for"
        failures = self.failures
        for failure in failures[:20]:
            yield f"  {failure}"
        if len(failures) > 20:
            yield f"  ... and {len(failures) - 20} more"
        for divergence in self.divergences:
            yield f"  {divergence}"

    def _noises(self) -> dict[tuple[str, str, str], float]:
        noises: dict[tuple[str, str, str], float] = {}
        for c in self.comparisons:
            if c.noise and c.tolerance == c.noise:
                key = c.mode, c.dtype, c.kind
                noises[key] = max(noises.get(key, 0.0), c.noise)
        return noises

    def __str__(self) -> str:
        return "\n".join(self.lines())


def _badness(c: Comparison) -> float:
    return math.inf if c.problem is not None or math.isnan(c.relative) else c.relative / max(c.tolerance, 1e-300)


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
