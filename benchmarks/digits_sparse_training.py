"""How many handwritten digits networks tell apart that are sparse from the start: a tenth of their weights ever learns.

    python benchmarks/digits_sparse_training.py [NETWORK ...]

Networks are those of examples/digits: mlp, resnet, vit, lstm, trained as train.toml says but for a rate of 0.01, in
each column from the same first weights. 90 % of the weights that contractions take are 0, by ERK densities: at `random`
places that stay, at places that evolve (`SET`), or that gradients choose (`RigL`), twice an epoch; or at those that a
method chooses before training, over all weights. The accuracy is that on the 359 digits held out, the mean over the
seeds 0 to 2.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from architrave.sparsity.learning.dynamic import SET, RigL
from architrave.sparsity.scores.methods import METHODS
from architrave.sparsity.scores.plan import Plan, Task
from benchmarks.digits_quantized import BATCH, NETWORKS, settings
from benchmarks.digits_sparse import Digits

DENSITY, SEEDS, BACKEND = 0.1, 3, "torch"
GIVEN = {**settings(), "rate": 0.01}


def chosen(first: Digits, method: str, distribution: str = "global") -> Digits:
    """The network, untrained, with the masks of a method."""
    plan = Plan(DENSITY, method, distribution=distribution, seed=first.seed, examples=256, batch=64, backend=BACKEND)
    return replace(first, weights=METHODS[method](Task(first.graph, first.weights, plan, first.train)))


def moving(first: Digits, gradients: bool) -> Digits:
    """The network, trained with masks that change twice an epoch until three quarters of the run are over."""
    epoch = first.train.steps(BATCH)
    every, end = epoch // 2, 0.75 * GIVEN["epochs"] * epoch
    refresh = RigL(every, until=end) if gradients else SET(every, until=end)
    start = chosen(first, "random", "erk")
    return start.trained(GIVEN["epochs"], GIVEN["rate"], GIVEN["warmup"], GIVEN["decay"], refresh)


COLUMNS: dict[str, Callable[[Digits], Digits]] = {
    "dense": lambda first: first.trained(**GIVEN),
    "random": lambda first: chosen(first, "random", "erk").trained(**GIVEN),
    "SET": lambda first: moving(first, gradients=False),
    "RigL": lambda first: moving(first, gradients=True),
    "SNIP": lambda first: chosen(first, "snip").trained(**GIVEN),
    "GraSP": lambda first: chosen(first, "grasp").trained(**GIVEN),
    "SynFlow": lambda first: chosen(first, "synflow").trained(**GIVEN),
}


def accuracy(name: str, column: str, seeds: int = SEEDS) -> float:
    """The mean accuracy of a network over some seeds."""
    return float(np.mean([COLUMNS[column](Digits.untrained(name, seed, BACKEND)).accuracy for seed in range(seeds)]))


def main(names: list[str]) -> None:
    """Print a line for each network."""
    print(f"{'':8}" + "".join(f"{column:>9}" for column in COLUMNS))
    for name in names or NETWORKS:
        print(f"{name:8}", end="", flush=True)
        for column in COLUMNS:
            print(f"{accuracy(name, column):>9.2%}", end="", flush=True)
        print()


if __name__ == "__main__":
    main(sys.argv[1:])
