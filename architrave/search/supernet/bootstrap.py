"""Training a supernet block by block, without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from architrave.backends.load import compile
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.initializers import init
from architrave.ir.ops.leaves import path_of
from architrave.ir.recent import Recent
from architrave.ir.types import TensorType
from architrave.search.space.costs import Costs
from architrave.search.space.feasible import Feasible
from architrave.search.space.members import Member
from architrave.search.supernet.blockwise import TWIN, Blocks, Ensemble, shared_path
from architrave.train import Objective, Recipe, Schedule, Trainer
from architrave.train.optimizers import Optimizer


class BlockwiseTrainer:
    """The weights of all paths that have learned, their twins, and what the optimizer remembers of them.

    In a step `paths` members are drawn that take the decisions `fixed` and keep all constraints, and learn together.
    They share weights of the same path and type. A set of members is compiled when it is first drawn, and the programs
    of those that were drawn last are kept.
    """

    def __init__(
        self,
        costs: Costs,
        blocks: Blocks,
        optimizer: Optimizer,
        schedule: Schedule,
        *,
        fixed: Member | None = None,
        paths: int = 4,
        backend: str = "numpy",
        dtype: str = "float32",
        seed: int = 0,
        compiled: int = 16,
    ) -> None:
        """Start from the first weights for the seed."""
        self.costs, self.blocks, self.schedule = costs, blocks, schedule
        self.recipe, self.fixed, self.paths = Recipe(optimizer, Objective()), fixed or {}, paths
        self.backend, self.dtype, self.seed, self.compiled = backend, dtype, seed, compiled
        self.steps = 0
        self.states: dict[str, Array] = {}
        """What is known of all weights, by path."""
        self._trainers: Recent[tuple[int, ...], Trainer] = Recent(compiled)
        self._feasible = Feasible(costs)

    def drawn(self, step: int) -> list[dict[str, str]]:
        """The members of a step, in the order of their numbers. Raises E954 where the space has none."""
        rng: Any = np.random.default_rng((self.seed, step))
        found = [self._feasible.sample(rng, self.fixed) for _ in range(self.paths)]
        return sorted(found, key=self.costs.space.number)

    def train(self, *inputs: Any) -> float:
        """Let the members of this step learn from a batch of inputs. Gives the loss before."""
        trainer = self._trainer(self.drawn(self.steps))
        trainer.restore(self._known(trainer.states()), self.steps)
        loss = trainer.train(*inputs)
        self.states |= trainer.states()
        self.steps += 1
        return loss

    def distances(self, members: Sequence[Member], *inputs: Any) -> list[float]:
        """How far each of some members is from the centre of them all: the less, the better it is ranked."""
        graph = self._ensemble(members).distances
        held = self._known(init(graph, self.seed, self.dtype))
        return [float(x) for x in compile(graph, self.backend).run(held, *inputs, training=True).outputs]

    def weights(self, member: Member) -> dict[str, Array]:
        """The weights of a member; its head, and what has not learned, at their first values."""
        graph = self.costs.member_graph(member)
        first = init(graph, self.seed, self.dtype)
        return {p: self.states.get(shared_path(p, t, self._types), first[p]) for p, t in _types(graph).items()}

    @cached_property
    def _types(self) -> dict[str, TensorType]:
        """Those of the weights of all members that take of other decisions the first labels."""
        return _types(self.costs.graph(self.costs.space.decided(self.fixed)))

    def _known(self, first: Mapping[str, Array]) -> dict[str, Array]:
        """What is known of weights; twins begin as what they are twins of."""
        begun = {**first, **{path: self.states[path] for path in first if path in self.states}}
        fresh = [path for path in first if path.startswith(f"{TWIN}.") and path not in self.states]
        return {**begun, **{path: begun.get(path.removeprefix(f"{TWIN}."), begun[path]) for path in fresh}}

    def _ensemble(self, members: Sequence[Member]) -> Ensemble:
        return Ensemble([self.costs.member_graph(member) for member in members], self.blocks, self._types)

    def _trainer(self, members: Sequence[Member]) -> Trainer:
        return self._trainers.of(tuple(map(self.costs.space.number, members)), lambda: self._compiled(members))

    def _compiled(self, members: Sequence[Member]) -> Trainer:
        graph = self._ensemble(members).graph
        return Trainer(graph, self.recipe, self.schedule, backend=self.backend, dtype=self.dtype, seed=self.seed)


def _types(graph: Graph) -> dict[str, TensorType]:
    return {path_of(w): w.type for w in graph.weights}
