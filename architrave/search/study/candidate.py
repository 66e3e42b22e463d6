"""One member that is looked at: its network, its first weights, and what it learns, each made when it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.initializers import init
from architrave.ir.printer import print_graph
from architrave.ir.source import error
from architrave.models import Named, find
from architrave.search.space.costs import Costs
from architrave.search.space.members import Member
from architrave.search.study.settings import Settings
from architrave.train import Dataset, Loop, Objective, Outcome, Recipe, Schedule, Trainer, open_data, optimizer, run
from architrave.train.data.dataset import check_labels

Epoch = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True)
class Scene:
    """What all members of a search share: the space, its costs, and the examples."""

    settings: Settings

    @cached_property
    def named(self) -> Named:
        """The model. Raises E606, E610, E611."""
        return find(self.settings.model)

    @cached_property
    def costs(self) -> Costs:
        """The cost model."""
        return Costs(self.named, self.settings.arguments, self.sizes)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Sizes of all symbols, 1 unless the settings say otherwise. Raises E968 for others."""
        symbols = self._first.symbols
        strange = next((name for name in self.settings.sizes if name not in symbols), None)
        if strange is not None:
            known = ", ".join(symbols) or "none"
            raise error("E968", f"`{self._first.name}` has no symbolic dimension `{strange}`", hint=f"it has {known}")
        return {**dict.fromkeys(symbols, 1), **self.settings.sizes}

    @cached_property
    def digest(self) -> str:
        """What tells the network, with every choice at its first label, from another."""
        return hashlib.sha256(print_graph(self._first).encode()).hexdigest()[:16]

    @cached_property
    def _first(self) -> Graph:
        return self.named.elaborate(self.settings.arguments).graph

    @cached_property
    def examples(self) -> tuple[Dataset, Dataset]:
        """To train on, and to judge by: the same where none are held out. Raises E968 where there are none."""
        if self.settings.data is None:
            hint = "give data, as for training: digits, an .npz file"
            raise error("E968", "an objective takes examples, and there are none", hint=hint)
        train, held = open_data(self.settings.data, self._first, self.settings.held_out)
        return train, held or train


@dataclass
class Candidate:
    """A member of a search. `on_epoch` is told of each epoch that it learns."""

    scene: Scene
    member: Member
    on_epoch: Epoch = field(default=lambda row: None)

    @cached_property
    def graph(self) -> Graph:
        """Its network."""
        return self.scene.costs.member_graph(self.member)

    @cached_property
    def first(self) -> dict[str, Array]:
        """The weights that it starts from."""
        return init(self.graph, self.scene.settings.seed, "float32")

    @cached_property
    def objective(self) -> Objective:
        """The loss that the examples suggest."""
        return Objective.usual(self.scene.examples[0])

    @cached_property
    def learnt(self) -> Outcome:
        """What it comes to by training. The same settings give the same weights again."""
        settings, (data, held) = self.scene.settings, self.scene.examples
        for part in (data, held):
            if self.objective.loss == "cross_entropy":
                check_labels(part, self.graph)
        schedule = Schedule(settings.rate, settings.epochs * data.steps(settings.batch), "cosine")
        trainer = Trainer(
            self.graph,
            Recipe(optimizer(settings.optimizer), self.objective),
            schedule,
            data.target_type(self.graph),
            backend=settings.backend,
            seed=settings.seed,
            weights=self.first,
        )
        return run(trainer, data, Loop(settings.epochs, settings.batch, held, on_epoch=self.on_epoch))
