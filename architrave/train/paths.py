"""Training a supernet, each step another member of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import path_of
from architrave.ir.recent import Recent
from architrave.ir.types import TensorType
from architrave.train.schedules import Schedule
from architrave.train.shared import Graded, Update
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

    def member(self, member: Mapping[str, str]) -> Graph:
        """A member by itself, with the weights that it reads."""
        ...


class PathTrainer(Update):
    """A `Trainer` of a supernet, of which a step changes what its member reads alone.

    One program trains every member, and computes all alternatives. With `compiled` each member gets a program of its
    own when it is first drawn, which computes what it takes, and so many are kept: what is learned is the same.

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
        scores: bool = False,
        compiled: int = 0,
    ) -> None:
        """Start from weights of the supernet, with or without switches. Raises what a `Trainer` does."""
        self.supernet, self.draw, self._scored = supernet, draw, scores
        self._programs: Recent[tuple[tuple[str, str], ...], Graded] = Recent(compiled)
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
            scores=scores and not compiled,
        )

    def train(self, *arrays: Any) -> float:
        """Let the member of this step learn from a batch. Gives its loss before. Raises what a `Trainer` does."""
        member = self.draw(self.steps)
        if not self._programs.most:
            self.assign(self.supernet.setting(member))
            return super().train(*arrays)
        own = self._programs.of(tuple(member.items()), lambda: self._compiled(member))
        states = self.states()
        part = own.part({path_of(w): states[path_of(w)] for w in own.program.graph.weights}, arrays, self)
        self.assign({**self.supernet.setting(member), **part.states})
        self.update(part.loss, part.gradients)
        self.scores = part.scores[0] if part.scores else None
        return part.loss

    def _compiled(self, member: Mapping[str, str]) -> Graded:
        return Graded.of(self.supernet.member(member), self.recipe, self.target, self.backend, self._scored)

    def _step(self, gradients: bool, scores: bool) -> Graph:
        if self._programs.most:
            return super()._step(gradients, scores)
        return Trainer._step(self, gradients, scores)
