"""The loop over epochs: training, validation, checkpoints, stopping early."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, printable
from architrave.train import checkpoint
from architrave.train.checkpoint import Folder, Progress
from architrave.train.data import Batches, Dataset

Row = Mapping[str, Any]
"""One epoch of the history: epoch, step, loss, rate, seconds and, with validation, val_loss and val_accuracy."""

Refresh = Callable[[Any, Sequence[Array]], object]
"""What changes a network between two steps: it is given the trainer after a step, and the batch of that step.

What it draws follows from the seed and the number of steps alone, so that a run which is cut off goes on as it was.
"""


class Learner(Protocol):
    """What a loop trains: a `Trainer`, or one of a supernet, which holds many networks."""

    seed: int

    @property
    def network(self) -> Graph:
        """What learns."""
        ...

    @property
    def steps(self) -> int:
        """The batches that were seen."""
        ...

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        ...

    def train(self, *arrays: Any) -> float:
        """Learn from one batch: the inputs and, where there is a loss, the target. Gives the loss before."""
        ...

    def judged(self, data: Dataset) -> Mapping[str, float]:
        """What was learnt: the loss on examples and, of classes, the accuracy."""
        ...

    def weights(self) -> dict[str, Array]:
        """The weights and states of the network, by path."""
        ...

    def states(self) -> dict[str, Array]:
        """All that it needs to go on later, by path."""
        ...

    def restore(self, states: Mapping[str, Any], steps: int) -> None:
        """Go on from states that `states` gave after so many batches."""
        ...


@dataclass(frozen=True)
class Loop:
    """How long a network is trained, and what is kept on the way.

    `checkpoints` get one after every `every` steps (0: after each epoch). With `patience`, training stops after so many
    epochs without a lower validation loss. `refresh` are called one after another after each step; then `on_step` is
    told of it, and `on_epoch` of each row of the history.
    """

    epochs: int
    batch: int
    validation: Dataset | None = None
    patience: int = 0
    checkpoints: Folder | None = None
    every: int = 0
    refresh: Sequence[Refresh] = ()
    on_step: Callable[[int, float], object] = lambda step, loss: None
    on_epoch: Callable[[Row], object] = lambda row: None


@dataclass
class Outcome:
    """What came of a run: its history, the weights of the network at the end, and the best ones by validation."""

    history: list[Row] = field(default_factory=list[Row])
    weights: dict[str, Array] = field(default_factory=dict[str, Array])
    best: dict[str, Array] | None = None
    stopped: bool = False


def run(trainer: Learner, data: Batches, loop: Loop, resume: bool = False) -> Outcome:
    """Train until the epochs are over or nothing gets better. With `resume`, go on from the newest checkpoint.

    It is the run that was cut off, to the bit: the same batches in the same order, the same random numbers.
    Raises E520 for a checkpoint that cannot be written, E546 for a step that is not finite, E547 for a folder with the
    checkpoints of another run or, to resume, without any, E548 for data that do not fit.
    """
    return _Run(trainer, data, loop).run(resume)


class _Run:
    def __init__(self, trainer: Learner, data: Batches, loop: Loop) -> None:
        self.trainer = trainer
        self.data = data
        self.loop = loop
        self.per_epoch = data.steps(loop.batch)
        if loop.patience and loop.validation is None:
            raise error("E548", "stopping early takes data to validate by", hint="hold some out, or leave out patience")
        self.outcome = Outcome()
        self.best: float | None = None
        self.total = 0.0
        """The sum of the losses of this epoch."""

    def run(self, resume: bool) -> Outcome:
        if resume:
            self._resume()
        else:
            self._check_folder()
        for epoch in range(self.trainer.steps // self.per_epoch, self.loop.epochs):
            if self._is_idle():
                self.outcome.stopped = True
                break
            row = self._epoch(epoch)
            improved = self._note(row)
            if self.loop.checkpoints is not None:
                self._save(best=improved)
        self.outcome.weights = self.trainer.weights()
        return self.outcome

    def _epoch(self, number: int) -> dict[str, Any]:
        """Train one epoch, from where the run stands in it; the row of the history."""
        start, rate = time.perf_counter(), self.trainer.rate
        done = self.trainer.steps % self.per_epoch
        for arrays in self.data.epoch(self.loop.batch, self.trainer.seed, number, done):
            rate = self.trainer.rate
            loss = self.trainer.train(*arrays)
            self.total += loss
            for refresh in self.loop.refresh:
                refresh(self.trainer, arrays)
            self.loop.on_step(self.trainer.steps, loss)
            within = self.trainer.steps % self.per_epoch
            if self.loop.checkpoints is not None and self.loop.every and within and within % self.loop.every == 0:
                self._save()
        row = {"epoch": number + 1, "step": self.trainer.steps, "loss": self.total / self.per_epoch, "rate": rate}
        self.total = 0.0
        if self.loop.validation is not None:
            row |= {f"val_{name}": value for name, value in self.trainer.judged(self.loop.validation).items()}
        return {**row, "seconds": time.perf_counter() - start}

    def _note(self, row: dict[str, Any]) -> bool:
        """Add a row; whether it is the best so far."""
        self.outcome.history.append(row)
        self.loop.on_epoch(row)
        score = row.get("val_loss")
        if score is None or not math.isfinite(score) or (self.best is not None and score >= self.best):
            return False
        self.best = score
        self.outcome.best = self.trainer.weights()
        return True

    def _is_idle(self) -> bool:
        """Whether the last epochs have all been no better than the best."""
        if not self.loop.patience or self.best is None:
            return False
        scores = [row.get("val_loss") for row in self.outcome.history]
        return len(scores) - 1 - scores.index(self.best) >= self.loop.patience

    def _save(self, best: bool = False) -> None:
        assert self.loop.checkpoints is not None
        trainer = self.trainer
        progress = Progress(
            trainer.steps,
            trainer.seed,
            trainer.network.name,
            self.loop.batch,
            len(self.data),
            self.total,
            self.best,
            tuple(self.outcome.history),
        )
        self.loop.checkpoints.write(trainer.states(), progress, best)

    def _check_folder(self) -> None:
        folder = self.loop.checkpoints
        if folder is not None and folder.all():
            where = printable(str(folder.path))
            raise error("E547", f"{where} holds checkpoints already", hint="resume, or take another folder")

    def _resume(self) -> None:
        folder = self.loop.checkpoints
        path = folder.latest() if folder is not None else None
        if folder is None or path is None:
            where = printable(str(folder.path if folder is not None else Path()))
            raise error("E547", f"there is no checkpoint in {where}", hint="start without resuming")
        states, progress = checkpoint.load(path)
        ours = (self.trainer.network.name, self.trainer.seed, self.loop.batch, len(self.data))
        theirs = (progress.network, progress.seed, progress.batch, progress.examples)
        if ours != theirs:
            said = "a run of `{}` with seed {} and batches of {} of {} examples"
            raise error("E547", f"{printable(str(path))} is of {said.format(*theirs)}, not {said.format(*ours)}")
        folder.tidy()
        self.trainer.restore(states, progress.step)
        self.outcome.history = list(progress.history)
        self.total, self.best = progress.total, progress.best
        if folder.best.exists() and self.best is not None:
            held, _ = checkpoint.load(folder.best)
            self.outcome.best = {name: held[name] for name in self.trainer.weights()}
