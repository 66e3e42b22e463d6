"""How many bits each weight gets: the choices of which none is both smaller and better than another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.backends.load import compile
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.quantize.grid import Grid
from architrave.record.recorder import silent


@dataclass(frozen=True)
class Choice:
    """Bits for each weight, by path; what they take, and how much worse the network is with them, as estimated."""

    size: float
    loss: float
    bits: Mapping[str, int]


def frontier(sizes: Mapping[str, Mapping[int, int]], losses: Mapping[str, Mapping[int, float]]) -> list[Choice]:
    """All choices of which none is at most as large and at most as bad as another, the smallest first.

    `sizes` and `losses` are those of each weight, by its bits, and add up: Cai and others, "ZeroQ: A Novel Zero Shot
    Quantization Framework" (2020), section 3.2. Weight after weight is added to the choices that are left, so that the
    time grows with the number of different sizes, not with that of choices.
    """
    best: list[tuple[int, float, tuple[int, ...]]] = [(0, 0.0, ())]
    for path, by_bits in sizes.items():
        longer = [
            (size + more, loss + losses[path][bits], (*chosen, bits))
            for size, loss, chosen in best
            for bits, more in by_bits.items()
        ]
        best = _undominated(longer)
    return [Choice(size, loss, dict(zip(sizes, chosen, strict=True))) for size, loss, chosen in best]


def within(choices: Sequence[Choice], budget: float) -> Choice:
    """The best choice that takes no more than a budget. Raises E918 where all take more."""
    fitting = [choice for choice in choices if choice.size <= budget]
    if not fitting:
        least = min(choice.size for choice in choices)
        raise error("E918", f"no choice of bits takes {budget} or less", hint=f"the smallest takes {least}")
    return min(fitting, key=lambda choice: choice.loss)


def divergences(
    graph: Graph,
    weights: Mapping[str, Any],
    batches: Sequence[Sequence[Any]],
    paths: Sequence[str],
    widths: Sequence[int] = (2, 4, 8),
    backend: str = "numpy",
    progress: Callable[[int], object] = silent,
) -> dict[str, dict[int, float]]:
    """How much the class probabilities of a float network change where one weight alone is rounded, by path and bits.

    That is the mean Kullback-Leibler divergence from the float network (equation 3 of ZeroQ), in one run over the
    batches for each weight and each of the `widths`. Rounding is around 0 with a scale for each output channel.
    """
    program = compile(graph, backend)
    exact = [log_probabilities(program.run(weights, *x).outputs[0]) for x in batches]
    found: dict[str, dict[int, float]] = {path: {} for path in paths}
    for path in paths:
        weight = np.asarray(weights[path])
        for bits in widths:
            rounded = Grid.symmetric(weight, bits, tuple(range(1, weight.ndim))).nearest(weight)
            held = {**weights, path: rounded.astype(weight.dtype)}
            results = (log_probabilities(program.run(held, *x).outputs[0]) for x in batches)
            far = [(np.exp(p) * (p - q)).sum(-1).mean() for p, q in zip(exact, results, strict=True)]
            found[path][bits] = float(np.mean(far))
            progress(1)
    return found


def log_probabilities(scores: Array) -> Array:
    """The logarithms of the class probabilities of scores, which lie along the last axis; float64."""
    shifted = scores.astype(np.float64) - scores.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def _undominated(
    choices: Sequence[tuple[int, float, tuple[int, ...]]],
) -> list[tuple[int, float, tuple[int, ...]]]:
    left: list[tuple[int, float, tuple[int, ...]]] = []
    for choice in sorted(choices):
        if not left or choice[1] < left[-1][1]:
            left.append(choice)
    return left
