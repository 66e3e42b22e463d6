"""Whether backends give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.backends.base import names
from architrave.backends.load import compile
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError
from architrave.record.recorder import silent


@dataclass(frozen=True)
class Agreement:
    """How many bytes of the outputs differ from those of the first backend, by backend; which could not run, and why.

    `total` are the bytes of the outputs, and `largest` is the largest difference of two numbers.
    """

    reference: str
    total: int
    differing: Mapping[str, int]
    largest: float
    skipped: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether no byte differs."""
        return not any(self.differing.values())


def agreement(
    graph: Graph,
    weights: Mapping[str, Any],
    inputs: Sequence[Any],
    backends: Sequence[str] | None = None,
    progress: Callable[[int], object] = silent,
) -> Agreement:
    """Run a network on every backend (of `backends`, or all) and compare the outputs, byte by byte.

    A backend whose framework is not installed is left out. `progress` hears of each that is done.
    """
    found: dict[str, list[Any]] = {}
    skipped: dict[str, str] = {}
    for name in names() if backends is None else backends:
        try:
            found[name] = list(compile(graph, name).run(weights, *inputs).outputs)
        except ArchitraveError as problem:
            if problem.diagnostics[0].code != "E522":
                raise
            skipped[name] = problem.diagnostics[0].message
        progress(1)
    reference, *others = found
    first = found[reference]
    differing = {name: sum(map(_differing, first, found[name])) for name in others}
    largest = max((_distance(a, b) for name in others for a, b in zip(first, found[name], strict=True)), default=0.0)
    return Agreement(reference, sum(y.nbytes for y in first), differing, largest, skipped)


def _differing(a: Any, b: Any) -> int:
    if a.dtype != b.dtype or a.shape != b.shape:
        return int(max(a.nbytes, b.nbytes))
    left, right = (np.frombuffer(x.tobytes(), np.uint8) for x in (a, b))
    return int(np.count_nonzero(left != right))


def _distance(a: Any, b: Any) -> float:
    difference = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0))
