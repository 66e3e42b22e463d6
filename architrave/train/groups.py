"""Which weights learn how fast, and which decay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from architrave.ir.graph import Value
from architrave.ir.ops.leaves import path_of


@dataclass(frozen=True)
class Group:
    """The weights whose path fits a pattern such as `encoder.*.bias`: a factor of the rate, and of the decay.

    A rate of 0 freezes them.
    """

    pattern: str
    rate: float = 1.0
    decay: float = 1.0


@dataclass(frozen=True)
class Rule:
    """What holds for one weight."""

    rate: float
    decay: float


def rule(weight: Value, groups: Sequence[Group], decay: float) -> Rule:
    """The first group that a weight fits. Without one, weights along at most one axis do not decay.

    Those are biases, the scales of normalization layers and those of rounded weights, whose decay only does harm: He
    and others, "Bag of Tricks for Image Classification" (2019).
    """
    path = path_of(weight)
    group = next((group for group in groups if fnmatchcase(path, group.pattern)), None)
    if group is not None:
        return Rule(group.rate, group.decay * decay)
    axes = sum(size != 1 for size in weight.shape)
    return Rule(1.0, decay if axes > 1 else 0.0)
