"""Weights that several networks share: each gives gradients by a program of its own, which make an update together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.backends.load import Program, compile
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.types import TensorType
from architrave.train.diagnosis import not_finite
from architrave.train.step import Recipe, gradient_graph, update_graph
from architrave.train.trainer import Trainer


class Update(Trainer):
    """A `Trainer` that takes gradients in the place of inputs: those that networks give which share its weights."""

    def update(self, loss: float, gradients: Mapping[str, Array]) -> None:
        """Change all weights that learn and do not rest; where there is no gradient, it is 0."""
        states = self.states()
        whole = (gradients[p] if p in gradients else np.zeros_like(states[p]) for p in self._learning)
        Trainer.train(self, np.asarray(loss), *whole)

    def _step(self, gradients: bool, scores: bool) -> Graph:
        return update_graph(self.network, self.recipe, gradients)


@dataclass(frozen=True)
class Part:
    """What a network gives for a batch: its loss and outputs, the gradients of what learns, and its new states."""

    loss: float
    scores: Sequence[Array]
    gradients: Mapping[str, Array]
    states: Mapping[str, Array]


@dataclass(frozen=True)
class Graded:
    """The program of a network that shares weights, and the paths of those whose gradients it gives."""

    program: Program
    learning: tuple[str, ...]

    @classmethod
    def of(
        cls, network: Graph, recipe: Recipe, target: TensorType | None, backend: str, scores: bool = False
    ) -> Graded:
        """Compile a network, with its first output if `scores`. Raises what `gradient_graph` does."""
        graph, learning = gradient_graph(network, recipe, target, scores)
        return cls(compile(graph, backend), learning)

    def part(self, weights: Mapping[str, Any], arrays: Sequence[Any], trainer: Trainer) -> Part:
        """What it gives in this step of the trainer of its weights. Raises E546 where that is not finite."""
        result = self.program.run(weights, *arrays, training=True, key=(trainer.seed, trainer.steps))
        number, finite, *others = result.outputs
        loss, rate = float(number), np.asarray(trainer.rate, number.dtype)
        if not finite:
            given = [np.asarray(x) for x in arrays]
            raise not_finite(self.program.graph, trainer.steps + 1, loss, rate, given, weights, trainer.seed)
        found = others[len(others) - len(self.learning) :]
        scores = others[: len(others) - len(self.learning)]
        return Part(loss, scores, dict(zip(self.learning, found, strict=True)), result.updates)
