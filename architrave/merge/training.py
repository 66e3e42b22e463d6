"""Training all networks of a stitched family at once: each step a random one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.ops.leaves import path_of
from architrave.ir.types import TensorType
from architrave.merge.stitch import Configuration, Family
from architrave.train import Recipe, Schedule, Trainer


class FamilyTrainer:
    """The weights of all networks, and what the optimizer remembers of them.

    Each network is compiled when it is first drawn. A step changes what its network reads, and nothing else. Which one
    it is follows from the seed and the number of the step, on every backend alike.
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
        self.family, self.recipe, self.schedule, self.target = family, recipe, schedule, target
        self.backend, self.dtype, self.seed = backend, dtype, seed
        self.steps = 0
        self._states: dict[str, Array] = {path: np.asarray(w) for path, w in weights.items()}
        self._trainers: dict[Configuration, Trainer] = {}

    def train(self, *arrays: Any) -> float:
        """Let the network that is drawn for this step learn from a batch. Gives its loss before."""
        trainer = self._trainer(self.drawn(self.steps))
        known = trainer.states()
        trainer.restore({path: self._states.get(path, first) for path, first in known.items()}, self.steps)
        loss = trainer.train(*arrays)
        self._states |= trainer.states()
        self.steps += 1
        return loss

    def drawn(self, step: int) -> Configuration:
        """The network that learns in a step: each with the same probability."""
        rng: Any = np.random.default_rng((self.seed, step))
        configurations = self.family.configurations
        return configurations[int(rng.integers(len(configurations)))]

    def weights(self) -> dict[str, Array]:
        """The weights of the family's graph, by path."""
        return {path_of(w): self._states[path_of(w)] for w in self.family.graph.weights}

    def _trainer(self, configuration: Configuration) -> Trainer:
        if configuration not in self._trainers:
            network = self.family.network(configuration)
            held = {path_of(w): self._states[path_of(w)] for w in network.weights}
            self._trainers[configuration] = Trainer(
                network,
                self.recipe,
                self.schedule,
                self.target,
                backend=self.backend,
                dtype=self.dtype,
                seed=self.seed,
                weights=held,
            )
        return self._trainers[configuration]
