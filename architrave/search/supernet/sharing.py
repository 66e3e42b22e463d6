"""What all kinds of supernets have in common: a network that holds the weights of all members, and children of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.search.space.costs import Costs
from architrave.search.space.feasible import Feasible
from architrave.search.space.members import Member
from architrave.search.supernet.child import Child, Supernet, child
from architrave.search.supernet.judge import Judge
from architrave.search.supernet.together import Plan, Together, Trains
from architrave.train import Dataset

JUDGED = 4
"""Members that a supernet is judged by while it learns, where it prefers none."""


@dataclass(frozen=True)
class Sharing(ABC):
    """A supernet of a model. Its fields but the first are its options, which a checkpoint holds."""

    model: Costs

    @cached_property
    def costs(self) -> Costs:
        """The members, and what they cost."""
        return self.model

    @cached_property
    def feasible(self) -> Feasible:
        """The members that keep the constraints of the model, except those on time, which is not measured here."""
        return Feasible(self.costs, lambda member: 0.0)

    @property
    @abstractmethod
    def graph(self) -> Graph:
        """The network that holds the weights of all members. Raises E957, E958, E973 where it cannot be made."""

    @abstractmethod
    def child(
        self,
        member: Member,
        weights: Mapping[str, Any],
        batches: Iterable[Sequence[Any]] | None = None,
        *,
        backend: str = "numpy",
    ) -> Child:
        """A member with its weights; `batches` of inputs give it batch statistics of its own. Raises E952, E975."""

    @abstractmethod
    def learner(self, plan: Plan) -> Together:
        """What lets the members learn together. Raises what a `Trainer` does."""

    def preferred(self, weights: Mapping[str, Any]) -> dict[str, str] | None:
        """The member that training itself has come to; None where all learn alike."""
        return None

    def divided(self, data: Dataset) -> tuple[Dataset, Dataset]:
        """The examples whose batches a run goes through, and those that are taken beside them."""
        return data, data

    def options(self) -> dict[str, Any]:
        """The options by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "model"}

    def together(self, plan: Plan, trainer: Trains, learn: Callable[..., float]) -> Together:
        """The same as a training loop takes it: `learn` takes a batch."""

        def judged(weights: Mapping[str, Any], data: Dataset) -> dict[str, float]:
            judge = Judge(self, weights, plan.data, plan.backend)
            best = self.preferred(weights)
            rng = np.random.default_rng(plan.seed)
            members = [best] if best is not None else [self.feasible.sample(rng) for _ in range(JUDGED)]
            rows = [judge.judged(judge.child(member), data, plan.recipe.objective) for member in members]
            return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

        return Together(self.graph, plan.seed, trainer, learn, judged)


@dataclass(frozen=True)
class Opened(Sharing):
    """Each alternative has weights of its own: choices of numbers, which change the graph itself, cannot be left."""

    @cached_property
    def source(self) -> Graph:
        """The network, which keeps its choices. Raises E973."""
        if self.model.static:
            what = f"`{self.model.static[0]}` of `{self.model.space.name}` chooses a number"
            hint = "members of other numbers share weights as slices: --kind slices"
            raise error("E973", f"{what}, and paths have no switch for that", hint=hint)
        return self.model.graph({})

    @cached_property
    @abstractmethod
    def supernet(self) -> Supernet:
        """The supernet, as its pass makes it."""

    @property
    def graph(self) -> Graph:
        """The network without choices."""
        return self.supernet.graph

    def child(
        self,
        member: Member,
        weights: Mapping[str, Any],
        batches: Iterable[Sequence[Any]] | None = None,
        *,
        backend: str = "numpy",
    ) -> Child:
        """A member with its weights. Raises E952."""
        self.costs.space.check(member)
        return child(self.supernet, weights, member, batches, backend=backend)
