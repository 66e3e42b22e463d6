"""Making a number small: some weights of a network learn by its gradients, all others stay."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import Param, State, path_of
from architrave.ir.rewrite import rebuild
from architrave.train.optimizers import Adam, Optimizer
from architrave.train.schedules import Schedule
from architrave.train.step import Recipe
from architrave.train.trainer import Trainer


@dataclass(frozen=True)
class Descent:
    """How a number is made small, with the project's own trainer."""

    rate: float
    schedule: str = "constant"
    optimizer: Optimizer = field(default_factory=Adam)
    backend: str = "torch"

    def run(
        self,
        loss: Graph,
        weights: Mapping[str, Any],
        learned: Collection[str],
        batches: Iterable[Sequence[Any]],
        steps: int,
    ) -> tuple[dict[str, Array], list[float]]:
        """The learned weights after a step for each batch, and the losses before each.

        `loss` gives one number, in the mode of inference, and its params at the paths `learned` learn. There are
        `steps` batches. Raises E546 where the loss or a gradient is not finite.
        """
        network = alone_learning(specialize(loss, training=False), learned)
        held = {path_of(w): weights[path_of(w)] for w in network.weights}
        schedule = Schedule(self.rate, max(steps, 1), self.schedule)
        trainer = Trainer(network, Recipe(self.optimizer), schedule, backend=self.backend, weights=held)
        losses = [trainer.train(*batch) for batch in batches]
        after = trainer.weights()
        return {path: after[path] for path in learned}, losses


def alone_learning(graph: Graph, learned: Collection[str]) -> Graph:
    """The graph in which only params at the paths `learned` are such; all other weights are states, and no updates."""

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        match node.op:
            case Param(path=path, type=type, initial=first) if path not in learned:
                return make(State(path, type, first), (), node.marks).outputs
            case State(path=path, type=type, initial=first) if path in learned:
                return make(Param(path, type, first), (), node.marks).outputs
            case _:
                return None

    return rebuild(replace(graph, updates=()), rewrite)


def drawn(arrays: Sequence[Array], batch: int, steps: int, seed: int) -> Iterator[tuple[Array, ...]]:
    """Batches drawn from examples along the first axis, the same for the same seed."""
    rng: Any = np.random.default_rng(seed)
    count = len(arrays[0])
    for _ in range(steps):
        chosen = rng.choice(count, min(batch, count), replace=False)
        yield tuple(x[chosen] for x in arrays)
