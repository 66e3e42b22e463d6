"""Which member of a supernet learns in a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.search.space.members import AND

Decisions = Mapping[str, Sequence[str]]
"""The labels of every decision, by path."""


@dataclass(frozen=True)
class Single:
    """Always the same member."""

    member: Mapping[str, str]

    def __call__(self, step: int) -> Mapping[str, str]:
        return self.member


@dataclass(frozen=True)
class Uniform:
    """Every label as likely as the others of its decision, whatever was drawn before.

    Guo and others, "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (2020).
    """

    decisions: Decisions
    seed: int = 0

    def __call__(self, step: int) -> dict[str, str]:
        rng: Any = np.random.default_rng((self.seed, step))
        return {path: labels[int(rng.integers(len(labels)))] for path, labels in self.decisions.items()}


@dataclass(frozen=True)
class Several:
    """For each decision first how many labels, from 1 to `most`, each number as likely; then which ones: `three+five`.

    Chu, Lu, Li and Zhang, "MixPath: A Unified Approach for One-shot Neural Architecture Search" (2023).
    """

    decisions: Decisions
    most: int
    seed: int = 0

    def __call__(self, step: int) -> dict[str, str]:
        rng: Any = np.random.default_rng((self.seed, step))
        found: dict[str, str] = {}
        for path, labels in self.decisions.items():
            count = 1 + int(rng.integers(min(self.most, len(labels))))
            taken = sorted(int(i) for i in rng.choice(len(labels), count, replace=False))
            found[path] = AND.join(labels[i] for i in taken)
        return found


@dataclass(frozen=True)
class Fair:
    """Every label once in a round of as many steps as its decision has labels, in an order drawn anew each round.

    Chu, Zhang and Xu, "FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search" (2021).
    There a round makes one update: with a recipe that accumulates as many batches it does here, too.
    """

    decisions: Decisions
    seed: int = 0

    def __call__(self, step: int) -> dict[str, str]:
        found: dict[str, str] = {}
        for i, (path, labels) in enumerate(self.decisions.items()):
            turn, position = divmod(step, len(labels))
            rng: Any = np.random.default_rng((self.seed, turn, i))
            found[path] = labels[int(rng.permutation(len(labels))[position])]
        return found
