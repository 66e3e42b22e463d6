"""A run that the tests kill: `python -m tests.train.killed FOLDER [--resume]` trains and says each step."""

from __future__ import annotations

import sys
from pathlib import Path

from architrave.train import AdamW, Folder, Loop, Outcome, Schedule, run
from tests.train.networks import MLP, mlp_data, trainer

EPOCHS, BATCH, EVERY = 30, 16, 1


def go(folder: Path | None, resume: bool, told: bool = False) -> Outcome:
    """The whole run, or what is left of it."""

    def say(step: int, loss: float) -> None:
        if told:
            sys.stdout.write(f"{step}\n")
            sys.stdout.flush()

    data = mlp_data()
    one = trainer(MLP, data, AdamW(), "numpy", schedule=Schedule(1e-2, EPOCHS * data.steps(BATCH), "cosine"))
    kept = Folder(folder, keep=3) if folder is not None else None
    return run(one, data, Loop(EPOCHS, BATCH, checkpoints=kept, every=EVERY, on_step=say), resume)


if __name__ == "__main__":
    go(Path(sys.argv[1]), "--resume" in sys.argv, told=True)
