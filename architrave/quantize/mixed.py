"""Bits for each weight under a budget of accuracy: the least sensitive ones get few, found by bisection.

Schaefer, Lambert-Shirzad, Zhang, Chou, Jablin, Li and others, "Augmenting Hessians with Inter-Layer Dependencies for
Mixed-Precision Post-Training Quantization" (2023).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from architrave.ir.source import error

Bits = Mapping[str, int]
Measure = Callable[[Bits], float]
"""How good the network is with so many bits for each weight: an accuracy, or a loss with its sign changed."""


@dataclass(frozen=True)
class Found:
    """Bits that keep the budget, how good they are, and at how many choices the network was measured to find them."""

    bits: Bits
    score: float
    measured: int


def dependencies(measure: Measure, paths: Sequence[str], low: int, high: int) -> dict[str, float]:
    """What each weight costs where all others are at `low` bits, too: how much better the network is without it."""
    every = dict.fromkeys(paths, low)
    worst = measure(every)
    return {path: measure({**every, path: high}) - worst for path in paths}


def ranking(hessian: Mapping[str, float], dependent: Mapping[str, float], weight: float = 1.0) -> list[str]:
    """The weights, the least sensitive first: by both measures, each as a share of its sum.

    With the `weight` 0 of the dependencies it is the order of the Hessian alone.
    """
    both = [_shares(hessian), _shares(dependent)]
    return sorted(hessian, key=lambda path: both[0][path] + weight * both[1].get(path, 0.0))


def bisected(measure: Measure, order: Sequence[str], levels: Sequence[int], budget: float) -> Found:
    """The most weights with the fewest bits for which the network is no worse than `budget`.

    All begin at the first of the `levels`. For each of the others, which have fewer bits, the longest beginning of the
    `order` goes there that keeps the budget, of the weights that went to the level before: found by bisection, with at
    most `ceil(log2(L)) + 1` measurements for L weights. Raises E918 where the first level does not keep the budget.
    """
    bits = dict.fromkeys(order, levels[0])
    score, measured = measure(bits), 1
    if score < budget:
        raise error("E918", f"{levels[0]} bits for all give {score:.6g}, less than the budget {budget:.6g}")
    candidates = list(order)
    for level in levels[1:]:
        kept, beyond = 0, len(candidates) + 1
        while beyond - kept > 1:
            middle = (kept + beyond) // 2
            tried = {**bits, **dict.fromkeys(candidates[:middle], level)}
            found, measured = measure(tried), measured + 1
            if found >= budget:
                kept, score = middle, found
            else:
                beyond = middle
        candidates = candidates[:kept]
        bits |= dict.fromkeys(candidates, level)
    return Found(bits, score, measured)


def _shares(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(map(abs, values.values()))
    return {path: value / total if total else 0.0 for path, value in values.items()}


def pipeline(bits: Bits, act: int = 8) -> str:
    """The passes that round each weight to its bits, and what its layer is given to `act`; all else stays in floats.

    Paths are those of weights in blocks of their own, as `layer.0.fc1.weight`. Of 16 bits and more none is rounded.
    """
    widths = sorted({width for width in bits.values() if width < 16})
    layers = {width: [path.rpartition(".")[0] for path, b in bits.items() if b == width] for width in widths}
    return ",".join(f"quantize{{bits={width} act={act} only={'|'.join(layers[width])}}}" for width in widths)
