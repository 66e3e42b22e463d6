"""Formulas of losses, one example at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def distribution(target: Any, count: int, smoothing: float, ignore: int | None) -> Array | None:
    """What the classes of one example should have; None where it takes no part."""
    if np.ndim(target):
        return (1 - smoothing) * target + smoothing / count
    if not 0 <= target < count or target == ignore:
        return None
    return (1 - smoothing) * np.eye(count)[target] + smoothing / count


def cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None = None,
    axis: int = -1,
    label_smoothing: float = 0.0,
    ignore: int | None = None,
    reduction: str = "mean",
) -> Any:
    logits = np.moveaxis(logits, axis, -1)
    soft = target.dtype.kind == "f"
    target = np.moveaxis(target, axis, -1) if soft else target
    weight = np.ones(logits.shape[-1]) if weight is None else weight
    losses, total = np.zeros(logits.shape[:-1]), 0.0
    for place in np.ndindex(*losses.shape):
        wanted = distribution(target[place], logits.shape[-1], label_smoothing, ignore)
        if wanted is None:
            continue
        likelihood = logits[place] - np.logaddexp.reduce(logits[place])
        costs = wanted > 0
        losses[place] = -np.sum((wanted * weight * likelihood)[costs])
        total += 1.0 if soft else weight[target[place]]
    if reduction == "none":
        return losses
    return losses.sum() / (total or 1.0) if reduction == "mean" else losses.sum()


LOSSES: dict[str, Callable[..., Any]] = {"cross_entropy": cross_entropy}
"""Composites by other formulas."""
