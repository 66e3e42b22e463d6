"""Checkpoints: everything that a run needs to go on with the same next step.

A checkpoint is one safetensors file: weights, the network's states and what the optimizer remembers, by path, and in
its header how far the run is. It is written whole or not at all, so a run that is killed leaves the one before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from architrave.ir.arrays import Array
from architrave.ir.source import ArchitraveError, error, printable
from architrave.weights import read, read_metadata, save

FORMAT = 1
KEY = "architrave.training"
_NAME = re.compile(r"step-(\d{9})\.safetensors")


@dataclass(frozen=True)
class Progress:
    """How far a run is: batches done, its seed and network, how many examples a batch has and how many there are.

    `total` is the sum of the losses of the epoch that it is in, `best` the lowest validation loss, and `history` has
    the rows of the epochs that are over.
    """

    step: int
    seed: int
    network: str
    batch: int
    examples: int
    total: float = 0.0
    best: float | None = None
    history: tuple[Mapping[str, Any], ...] = ()


def write(path: Path, states: Mapping[str, Array], progress: Progress) -> None:
    """Write a checkpoint. Raises E520 where that is impossible, such as on a full disk; what was there stays."""
    save(path, states, {KEY: json.dumps({"format": FORMAT, **asdict(progress)})})


def load(path: Path) -> tuple[dict[str, Array], Progress]:
    """Read a checkpoint. Raises E501 for a file that is damaged, E547 for one that is no checkpoint of a run."""
    text = read_metadata(path).get(KEY)
    if text is None:
        raise error("E547", f"{printable(str(path))} holds weights, but not the state of a run")
    try:
        progress = _progress(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise error("E547", f"the header of {printable(str(path))} is not that of a checkpoint") from None
    return read(path), progress


def _progress(data: Any) -> Progress:
    """What a header says, checked."""
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']}")
    step, seed, batch, examples = (int(data[name]) for name in ("step", "seed", "batch", "examples"))
    best = None if data["best"] is None else float(data["best"])
    history = tuple({str(name): float(value) for name, value in row.items()} for row in data["history"])
    return Progress(max(step, 0), seed, str(data["network"]), batch, examples, float(data["total"]), best, history)


@dataclass(frozen=True)
class Folder:
    """A folder of checkpoints: the last `keep`, and the best by the validation loss."""

    path: Path
    keep: int = 2

    def write(self, states: Mapping[str, Array], progress: Progress, best: bool = False) -> Path:
        """Add a checkpoint, then remove the oldest. Raises E520."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise error("E520", f"cannot make {printable(str(self.path))}: {problem.strerror or problem}") from None
        path = self.path / f"step-{progress.step:09d}.safetensors"
        # The best comes first: a run that is killed in between makes this epoch, and its best, once more.
        if best:
            write(self.best, states, progress)
        write(path, states, progress)
        for old in self.all()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    @property
    def best(self) -> Path:
        """Where the best is."""
        return self.path / "best.safetensors"

    def all(self) -> list[Path]:
        """The checkpoints, oldest first."""
        return sorted(p for p in self.path.glob("step-*.safetensors") if _NAME.fullmatch(p.name))

    def latest(self) -> Path | None:
        """The newest checkpoint that can be read; None where there is none. Raises E501, E547 where none can."""
        problems: list[ArchitraveError] = []
        for path in reversed(self.all()):
            try:
                load(path)
            except ArchitraveError as problem:
                problems.append(problem)
                continue
            return path
        if problems:
            raise problems[0]
        return None

    def tidy(self) -> None:
        """Remove what a run that was killed left half written."""
        for part in (*self.path.glob(".step-*.safetensors.*"), *self.path.glob(f".{self.best.name}.*")):
            part.unlink(missing_ok=True)
