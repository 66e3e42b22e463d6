"""Training a supernet, each step another member of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.types import TensorType
from architrave.train.schedules import Schedule
from architrave.train.step import Recipe
from architrave.train.trainer import Trainer

Draw: TypeAlias = Callable[[int], Mapping[str, str]]
"""The member that learns in a step: the label of each decision, by path."""


class Paths(Protocol):
    """A supernet of which one member is there at a time, as its switches say."""

    @property
    def graph(self) -> Graph:
        """The network; the switches are states of it."""
        ...

    def setting(self, member: Mapping[str, str]) -> dict[str, Array]:
        """The switches of a member, by path."""
        ...

    def learning(self, weights: Mapping[str, Value]) -> dict[str, Value]:
        """Whether each weight that some members lack is in the one that is there: see `Recipe.learning`."""
        ...


class PathTrainer(Trainer):
    """A `Trainer` of a supernet. One program trains every member, and a step changes what its member reads alone.

    Its weights are those of the supernet with the switches of the last member. Where `draw` depends on the step alone,
    a run that is cut off goes on as it was.
    """

    def __init__(
        self,
        supernet: Paths,
        draw: Draw,
        recipe: Recipe,
        schedule: Schedule,
        target: TensorType | None = None,
        *,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int = 0,
        weights: Mapping[str, Any] | None = None,
        gradients: bool = False,
    ) -> None:
        """Start from weights of the supernet, with or without switches. Raises what a `Trainer` does."""
        self.supernet, self.draw = supernet, draw
        started = None if weights is None else {**weights, **supernet.setting({})}
        recipe = replace(recipe, learning=supernet.learning)
        super().__init__(
            supernet.graph,
            recipe,
            schedule,
            target,
            backend=backend,
            dtype=dtype,
            seed=seed,
            weights=started,
            gradients=gradients,
        )

    def train(self, *arrays: Any) -> float:
        """Let the member of this step learn from a batch. Gives its loss before. Raises what a `Trainer` does."""
        self.assign(self.supernet.setting(self.draw(self.steps)))
        return super().train(*arrays)
