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
from architrave.search.supernet.checkpoint import check_held_out, digest, load
from architrave.search.supernet.child import Child
from architrave.search.supernet.judge import Judge
from architrave.search.supernet.sharing import Sharing
from architrave.train import Dataset, Loop, Objective, Outcome, Recipe, Schedule, Trainer, open_data, optimizer, run
from architrave.train.data.dataset import check_labels

Epoch = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True)
class Scene:
    """What all members of a search share: the space, its costs, the examples, and perhaps a supernet."""

    settings: Settings

    @cached_property
    def named(self) -> Named:
        """The model. Raises E606, E610, E611."""
        return find(self.settings.model)

    @cached_property
    def costs(self) -> Costs:
        """The cost model: of a supernet, that of its members. Raises E501, E970 to E973 for a supernet."""
        return self._model if self._supernet is None else self._supernet[0].costs

    @cached_property
    def judge(self) -> Judge | None:
        """What judges members by the weights that they inherit; None where they learn by themselves. Raises E968."""
        if self._supernet is None:
            return None
        return Judge(*self._supernet, self.examples[0], self.settings.backend)

    @cached_property
    def supernet(self) -> str | None:
        """What tells the file of the supernet from another; None without one. Raises E501."""
        return None if self.settings.supernet is None else digest(self.settings.supernet)

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
    def _model(self) -> Costs:
        return Costs(self.named, self.settings.arguments, self.sizes)

    @cached_property
    def _supernet(self) -> tuple[Sharing, dict[str, Array]] | None:
        return None if self.settings.supernet is None else load(self.settings.supernet, self._model)

    @cached_property
    def _first(self) -> Graph:
        return self.named.elaborate(self.settings.arguments).graph

    @cached_property
    def examples(self) -> tuple[Dataset, Dataset]:
        """To train on, and to judge by: the same where none are held out. Raises E968 where there are none."""
        if self.settings.data is None:
            hint = "give data, as for training: digits, an .npz file"
            raise error("E968", "an objective takes examples, and there are none", hint=hint)
        if self.settings.supernet is not None:
            check_held_out(self.settings.supernet, self.settings.held_out)
        train, held = open_data(self.settings.data, self._first, self.settings.held_out)
        return train, held or train


@dataclass
class Candidate:
    """A member of a search. `on_epoch` is told of each epoch that it learns."""

    scene: Scene
    member: Member
    on_epoch: Epoch = field(default=lambda row: None)

    @cached_property
    def child(self) -> Child | None:
        """What is cut out of the supernet; None without one."""
        return None if self.scene.judge is None else self.scene.judge.child(self.member)

    @cached_property
    def graph(self) -> Graph:
        """Its network."""
        return self.scene.costs.member_graph(self.member) if self.child is None else self.child.graph

    @cached_property
    def first(self) -> Mapping[str, Array]:
        """The weights that it starts from: those that it inherits, where there is a supernet."""
        return init(self.graph, self.scene.settings.seed, "float32") if self.child is None else self.child.weights

    @cached_property
    def weights(self) -> Mapping[str, Array]:
        """The weights that it comes to: it learns where there are examples, and no supernet."""
        learns = self.scene.settings.data is not None and self.child is None
        return self.learnt.weights if learns else self.first

    @cached_property
    def objective(self) -> Objective:
        """The loss that the examples suggest."""
        return Objective.usual(self.scene.examples[0])

    @cached_property
    def judged(self) -> Mapping[str, float]:
        """Its loss on the examples held out and, of classes, its accuracy."""
        if self.scene.judge is not None and self.child is not None:
            return self.scene.judge.judged(self.child, self._examples[1], self.objective)
        row = self.learnt.history[-1]
        return {name.removeprefix("val_"): value for name, value in row.items() if name.startswith("val_")}

    @cached_property
    def learnt(self) -> Outcome:
        """What it comes to by training. The same settings give the same weights again."""
        settings, (data, held) = self.scene.settings, self._examples
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

    @property
    def _examples(self) -> tuple[Dataset, Dataset]:
        """To learn from, and to be judged by. Raises E564 for a label that is none of its classes."""
        for part in self.scene.examples:
            if self.objective.loss == "cross_entropy":
                check_labels(part, self.graph)
        return self.scene.examples
