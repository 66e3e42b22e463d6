"""Training supernets whose members are slices: each step several of them learn at once, and share one update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from architrave.distil.terms import Scene, Term
from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.recent import Recent
from architrave.ir.types import TensorType
from architrave.search.space.members import Member
from architrave.search.supernet.slices import Slices
from architrave.train import Objective, Recipe, Schedule
from architrave.train.shared import Graded, Update

Draw: TypeAlias = Callable[[Slices, Any], list[Member]]
"""Which members learn in a step; the second argument is a NumPy generator."""
COMPILED = 64
"""Members whose programs are kept."""


@dataclass(frozen=True)
class Sandwich:
    """The largest member, then the smallest, and `others` that are drawn.

    Yu and Huang, "Universally Slimmable Networks and Improved Training Techniques" (2019).
    """

    others: int = 2

    def __call__(self, slices: Slices, rng: Any) -> list[Member]:
        return [slices.largest, slices.smallest, *(slices.costs.space.sample(rng) for _ in range(self.others))]


@dataclass(frozen=True)
class Sampled:
    """So many members that are drawn, each as likely as every other: Valipour and others, "SortedNet" (2023)."""

    count: int = 2

    def __call__(self, slices: Slices, rng: Any) -> list[Member]:
        return [slices.costs.space.sample(rng) for _ in range(self.count)]


class SliceTrainer:
    """The weights of the largest member, and what the optimizer remembers of them.

    In a step the gradients of all members that are drawn are summed where their weights stand in those of the largest,
    and the optimizer makes one update. With `taught` the members after the first learn from what that one gives in the
    same step, and from no targets: with `Sandwich()` that is in-place distillation. Running statistics are those of the
    first; a child takes its own from batches. Each member is compiled when it is first drawn, and the programs of those
    that were drawn last are kept.
    """

    def __init__(
        self,
        slices: Slices,
        weights: Mapping[str, Any],
        recipe: Recipe,
        schedule: Schedule,
        target: TensorType,
        draw: Draw,
        *,
        taught: Term | None = None,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int = 0,
        compiled: int = COMPILED,
    ) -> None:
        """Start from weights of the largest member. Raises E502 to E505, and what a `Trainer` does."""
        self.slices, self.draw, self.taught, self.seed = slices, draw, taught, seed
        self._updating = partial(
            Update, slices.graph, recipe, schedule, target, backend=backend, dtype=dtype, seed=seed
        )
        self._update = self._updating(weights=weights)
        self._programs: Recent[tuple[Any, ...], Graded] = Recent(compiled)

    def beside(self, weights: Mapping[str, Any]) -> SliceTrainer:
        """The same for other weights, which learn by themselves; compiled programs are shared."""
        other = copy(self)
        other._update = self._updating(weights=weights)
        return other

    @property
    def steps(self) -> int:
        """The batches that were seen."""
        return self._update.steps

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        return self._update.rate

    def states(self) -> dict[str, Array]:
        """The weights of the largest member, and all that the optimizer remembers of them, by path."""
        return self._update.states()

    def restore(self, states: Mapping[str, Any], steps: int) -> None:
        """Go on from states that `states` gave after so many batches. Raises E502 to E505."""
        self._update.restore(states, steps)

    def drawn(self, step: int) -> list[Member]:
        """The members that learn in a step; they follow from the seed."""
        return self.draw(self.slices, np.random.default_rng((self.seed, step)))

    def train(self, *arrays: Any, members: Sequence[Member] | None = None) -> list[float]:
        """Let the members of this step, or those given, learn from a batch: inputs and target.

        Gives the loss of each before.
        """
        *inputs, target = arrays
        weights = self.weights()
        states, total, losses = weights, dict[str, Array](), list[float]()
        for member in self.drawn(self.steps) if members is None else members:
            taught = self.taught is not None and bool(losses)
            mine = self.slices.weights(member, weights)
            part = self._graded(member, taught).part(mine, [*inputs, target], self._update)
            if not losses:
                states = self.slices.written(member, part.states, weights)
                target = part.scores[0] if self.taught is not None else target
            zeros = {path: np.zeros_like(weights[path]) for path in part.gradients}
            total = self.slices.added(member, part.gradients, {**zeros, **total})
            losses.append(part.loss)
        self._update.assign(states)
        self._update.update(sum(losses), total)
        return losses

    def weights(self) -> dict[str, Array]:
        """The weights of the largest member."""
        return self._update.weights()

    def _graded(self, member: Member, taught: bool) -> Graded:
        return self._programs.of((taught, *member.items()), lambda: self._compiled(member, taught))

    def _compiled(self, member: Member, taught: bool) -> Graded:
        recipe, target, backend = self._update.recipe, self._update.target, self._update.backend
        if taught:
            assert self.taught is not None, "there is what a member is taught by"
            recipe = replace(recipe, objective=_Taught(term=self.taught))
        return Graded.of(self.slices.network(member), recipe, target, backend, scores=not taught)


@dataclass(frozen=True)
class _Taught(Objective):
    """A member learns from scores that are given in the place of targets."""

    term: Term | None = None

    def attached(self, network: Graph, target: TensorType | None = None) -> Graph:
        """The network with the scores of another as its last input. Raises what the term does."""
        assert self.term is not None, "there is what a member is taught by"
        scores: Value = build.input("scores", network.outputs[0].type)
        loss = self.term.loss(Scene(network, (Graph("scores", (scores,), (scores,)),), "distil"))
        return replace(network, inputs=(*network.inputs, scores), outputs=(loss,))
