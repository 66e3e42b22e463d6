"""Masks that change while a network learns: in the ordinary loop, between two steps of the ordinary trainer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.sparsity.masks.masked import masks
from architrave.sparsity.masks.schedules import Gradual
from architrave.sparsity.scores.methods import METHODS, check_method
from architrave.sparsity.scores.plan import Plan, Task
from architrave.train.data import Dataset
from architrave.train.step import MEMORY
from architrave.train.trainer import Trainer


@dataclass(frozen=True)
class Gradually:
    """Chooses masks anew when a schedule says so: a `Refresh` of `train.Loop`.

    The network has masks (the pass `mask`). What was masked once is 0 and stays so under methods that score by weights.
    """

    plan: Plan
    schedule: Gradual
    data: Dataset | None = None

    def __post_init__(self) -> None:
        check_method(self.plan.method)

    def __call__(self, trainer: Trainer, batch: Sequence[Array]) -> None:
        """Choose masks after a step, where they are due."""
        if self.schedule.is_due(trainer.steps):
            assign(trainer, self.after(trainer, trainer.weights()))

    def start(self, trainer: Trainer) -> None:
        """Choose masks before the first step, where they are due then."""
        if trainer.steps == 0 and self.schedule.is_due(0):
            assign(trainer, self.after(trainer, trainer.weights()))

    def after(self, trainer: Trainer, weights: Mapping[str, Any]) -> dict[str, Array]:
        """The weights under the masks of the step that the trainer is at."""
        plan = self.plan.at(self.schedule.density(trainer.steps))
        return METHODS[plan.method](Task(trainer.network, weights, plan, self.data))


def assign(trainer: Trainer, weights: Mapping[str, Any]) -> None:
    """Give a trainer weights with other masks.

    What these hide is 0, and the optimizer forgets what it remembers of it: so that it is still 0 after any number of
    updates, by whatever optimizer. Raises E502 to E505 and E924 for what does not fit.
    """
    found = masks(trainer.network, weights)
    states = trainer.states()
    hidden = {path: np.where(mask, np.asarray(weights[path]), 0) for path, mask in found.items()}
    memory = {key: np.where(found[path], states[key], 0) for path in found for key in _remembered(states, path)}
    trainer.assign({**weights, **hidden, **memory})


def _remembered(states: Mapping[str, Array], path: str) -> list[str]:
    """What an optimizer remembers of each number of a weight."""
    ours = [key for key in states if key.startswith(f"{MEMORY}.") and key.split(".", 2)[2:] == [path]]
    return [key for key in ours if states[key].shape == states[path].shape]
