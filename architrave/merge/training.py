"""Training all networks of a stitched family at once: each step a random one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.ops.leaves import path_of
from architrave.ir.types import TensorType
from architrave.merge.stitch import Configuration, Family
from architrave.passes.search.switched import switched
from architrave.train import Recipe, Schedule
from architrave.train.paths import PathTrainer


class FamilyTrainer:
    """The weights of all networks, and what the optimizer remembers of them.

    One program computes all networks, and switches say which one learns. A step changes what this one reads, and
    nothing else. Which one it is follows from the seed and the number of the step, on every backend alike.
    """

    def __init__(
        self,
        family: Family,
        weights: Mapping[str, Any],
        recipe: Recipe,
        schedule: Schedule,
        target: TensorType | None = None,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int = 0,
    ) -> None:
        """Start from the weights of the family's graph, as `fitted` gives them. Raises what a `Trainer` does."""
        self.family, self.seed = family, seed
        self._trainer = PathTrainer(
            switched(family.graph),
            lambda step: family.decisions(self.drawn(step)),
            recipe,
            schedule,
            target,
            backend=backend,
            dtype=dtype,
            seed=seed,
            weights=weights,
        )

    @property
    def steps(self) -> int:
        """The batches so far."""
        return self._trainer.steps

    def train(self, *arrays: Any) -> float:
        """Let the network that is drawn for this step learn from a batch. Gives its loss before."""
        return self._trainer.train(*arrays)

    def drawn(self, step: int) -> Configuration:
        """The network that learns in a step: each with the same probability."""
        rng: Any = np.random.default_rng((self.seed, step))
        configurations = self.family.configurations
        return configurations[int(rng.integers(len(configurations)))]

    def weights(self) -> dict[str, Array]:
        """The weights of the family's graph, by path."""
        states = self._trainer.states()
        return {path_of(w): states[path_of(w)] for w in self.family.graph.weights}
