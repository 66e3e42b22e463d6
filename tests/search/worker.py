"""A process that searches: `python -m tests.search.worker MODEL STORAGE TRIALS SECONDS`.

Every trial takes so long, and says on standard output when it begins.
"""

from __future__ import annotations

import sys
import time
from typing import Any, cast

from architrave.search.study import objectives
from architrave.search.study.candidate import Candidate
from architrave.search.study.objectives import Objective
from architrave.search.study.run import Search, Worker
from architrave.search.study.settings import Settings


def settings(model: str, storage: str, trials: int) -> Settings:
    """A search by `slow`, which is the number of parameters."""
    return Settings(model, objectives=("slow",), strategy="random", trials=trials, storage=storage)


def make_slow(seconds: float) -> None:
    """Let there be an objective `slow`."""

    def measure(candidate: Candidate) -> float:
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        time.sleep(seconds)
        return candidate.scene.costs.of(candidate.member)["params"]

    cast("dict[str, Any]", objectives.OBJECTIVES)["slow"] = Objective(measure)


if __name__ == "__main__":
    make_slow(float(sys.argv[4]))
    with Search.of(settings(sys.argv[1], sys.argv[2], int(sys.argv[3]))) as search:
        Worker(search).run()
