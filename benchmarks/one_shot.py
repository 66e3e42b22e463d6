"""How fast members are judged by a supernet, and do they rank as they do when each is trained? Cells for digits.

    python benchmarks/one_shot.py [MEMBERS] [EPOCHS] [ALONE]

The space is that of `examples/cells.arch`. A supernet of it learns for EPOCHS, by default 40. Then MEMBERS of it, by
default 24, drawn at random, are judged by the weights that they inherit; and the same ones by training each for ALONE
epochs, by default 10. The agreement is Kendall's tau.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from architrave.models import find
from architrave.search.space.costs import Costs
from architrave.search.study.results import Result
from architrave.search.study.run import Search, Worker
from architrave.search.study.settings import Settings
from architrave.search.supernet.checkpoint import write
from architrave.search.supernet.kinds import sharing
from architrave.search.supernet.together import Plan
from architrave.train import AdamW, Loop, Objective, Recipe, Schedule, open_data, run

MODEL = str(Path(__file__).parents[1] / "examples" / "cells.arch")
BATCH, RATE = 64, 1e-2


def main() -> None:
    given = [int(argument) for argument in sys.argv[1:]]
    members, epochs, alone = (*given, *(24, 40, 10)[len(given) :])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "supernet.safetensors")
        learn(path, epochs)
        training: dict[str, Any] = {"data": "digits", "batch": BATCH, "rate": RATE, "backend": "numpy"}
        inherit = Settings(MODEL, strategy="random", trials=members, supernet=path, **training)
        shared, trained = judged(inherit), judged(replace(inherit, supernet=None, epochs=alone))
        print(f"Kendall's tau over {members} members, trained for {alone} epochs: {tau(shared, trained):.2f}")
        for ours, theirs in zip(shared, trained, strict=True):
            print(f"{ours.values['accuracy']:.2%} {theirs.values['accuracy']:.2%} {' '.join(ours.member.values())}")


def learn(path: str, epochs: int) -> None:
    """Train a supernet, and write it."""
    supernet = sharing("paths", Costs(find(MODEL), {}, {"N": 1}), {})
    data, _ = open_data("digits", supernet.graph)
    schedule = Schedule(RATE, epochs * data.steps(BATCH), "cosine")
    plan = Plan(Recipe(AdamW(), Objective("cross_entropy")), schedule, data, data, programs=0)
    began = time.perf_counter()
    outcome = run(supernet.learner(plan), data, Loop(epochs, BATCH))
    print(f"{supernet.costs.space.size:,} members learned together in {time.perf_counter() - began:.0f} s")
    write(path, supernet, outcome.weights, {})


def judged(settings: Settings) -> list[Result]:
    """The same members for the same seed, whatever they are judged by."""
    began = time.perf_counter()
    with Search.of(settings) as search:
        Worker(search).run()
        found = search.results()
    rate = len(found) / (time.perf_counter() - began)
    print(f"{rate:.1f} members a second by {'the supernet' if settings.supernet else 'training'}", flush=True)
    return found


def tau(a: list[Result], b: list[Result]) -> float:
    """Kendall's rank correlation of accuracies, tau-b, in which ties count for neither side."""
    assert [one.member for one in a] == [one.member for one in b]
    x, y = (np.sign(np.subtract.outer(v, v)) for v in ([one.values["accuracy"] for one in each] for each in (a, b)))
    total: Any = (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
    return float(total)


if __name__ == "__main__":
    main()
