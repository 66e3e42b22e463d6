"""Supernets of every kind as a training loop takes them: one batch a step, and judged by members that are cut out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.types import TensorType
from architrave.train import Dataset, Recipe, Schedule

PROGRAMS = 64
"""How many members' programs are kept by default."""


class Trains(Protocol):
    """What lets a supernet learn."""

    @property
    def steps(self) -> int:
        """The batches that were seen."""
        ...

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        ...

    def weights(self) -> dict[str, Array]:
        """The weights of the supernet, by path."""
        ...

    def states(self) -> dict[str, Array]:
        """All that it needs to go on later, by path."""
        ...

    def restore(self, states: Mapping[str, Any], steps: int) -> None:
        """Go on from states that `states` gave after so many batches. Raises E502 to E505."""
        ...


@dataclass(frozen=True)
class Plan:
    """How a supernet learns, of whatever kind it is.

    A loop goes through the batches of `data`; `other` are examples beside them, for those kinds that divide all. The
    `programs` of so many members are kept; with 0 paths have one for all.
    """

    recipe: Recipe
    schedule: Schedule
    data: Dataset
    other: Dataset
    backend: str = "numpy"
    dtype: str = "float32"
    seed: int = 0
    weights: Mapping[str, Any] | None = None
    programs: int = PROGRAMS

    def arguments(self, graph: Graph) -> tuple[Recipe, Schedule, TensorType | None]:
        """What every trainer takes after its network."""
        return self.recipe, self.schedule, self.data.target_type(graph)

    def options(self) -> dict[str, Any]:
        """What every trainer takes by these names."""
        return {"backend": self.backend, "dtype": self.dtype, "seed": self.seed, "weights": self.weights}


@dataclass
class Together:
    """A `Learner` of all members: `learn` takes a batch and gives the loss, `judge` says what weights come to."""

    network: Graph
    seed: int
    trainer: Trains
    learn: Callable[..., float]
    judge: Callable[[Mapping[str, Any], Dataset], Mapping[str, float]]

    @property
    def steps(self) -> int:
        """The batches that were seen."""
        return self.trainer.steps

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        return self.trainer.rate

    def train(self, *arrays: Any) -> float:
        """Let members learn from a batch. Gives their loss before. Raises what their trainer does."""
        return self.learn(*arrays)

    def judged(self, data: Dataset) -> Mapping[str, float]:
        """What some members have learnt."""
        return self.judge(self.weights(), data)

    def weights(self) -> dict[str, Array]:
        """The weights of the supernet, by path."""
        return self.trainer.weights()

    def states(self) -> dict[str, Array]:
        """All that it needs to go on later, by path."""
        return self.trainer.states()

    def restore(self, states: Mapping[str, Any], steps: int) -> None:
        """Go on from states that `states` gave after so many batches. Raises E502 to E505."""
        self.trainer.restore(states, steps)
