"""Training a network on after it was cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.bind import bind, sizes_of
from architrave.ir.dims import symbols
from architrave.ir.graph import Graph
from architrave.record.recorder import silent
from architrave.train.data import Dataset
from architrave.train.loop import Loop, run
from architrave.train.objective import Objective
from architrave.train.optimizers import AdamW, Optimizer
from architrave.train.schedules import Schedule
from architrave.train.step import Recipe
from architrave.train.trainer import Trainer


@dataclass(frozen=True)
class Tuning:
    """How a network is trained on. The rate falls to 0 over the `epochs` of each round, in half a wave."""

    epochs: int = 1
    rate: float = 1e-3
    batch: int = 32
    optimizer: Optimizer = field(default_factory=AdamW)
    decay: float = 0.0


def at_lengths(graph: Graph, data: Dataset) -> Graph:
    """The network at the sizes of the examples, of which only their number stays open: labels have such sizes, too."""
    batch = symbols(graph.inputs[0].shape[0])
    sizes = sizes_of(graph, [x.shape for x in data.inputs])
    return bind(graph, {name: size for name, size in sizes.items() if name not in batch})


def tuned(
    graph: Graph,
    weights: Mapping[str, Any],
    data: Dataset,
    tuning: Tuning,
    *,
    loss: str = "cross_entropy",
    backend: str = "torch",
    seed: int = 0,
    progress: Callable[[int], object] = silent,
) -> dict[str, Array]:
    """The weights after training on. `progress` hears how many steps are done. Raises what a `Trainer` does."""
    graph, batch = at_lengths(graph, data), min(tuning.batch, len(data))
    target = data.target_type(graph)
    recipe = Recipe(tuning.optimizer, Objective(loss if target is not None else ""), tuning.decay)
    schedule = Schedule(tuning.rate, tuning.epochs * data.steps(batch), "cosine")
    trainer = Trainer(graph, recipe, schedule, target, backend=backend, seed=seed, weights=weights)
    return run(trainer, data, Loop(tuning.epochs, batch, on_step=lambda step, loss: progress(1))).weights
