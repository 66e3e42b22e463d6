"""How many handwritten digits networks tell apart when a tenth of their weights is left, chosen in different ways.

    python benchmarks/digits_sparse.py [NETWORK ...]

Networks are those of examples/digits: mlp, resnet, vit, lstm, trained as train.toml says. Of 90 % of the weights that
contractions take nothing is left: chosen `at once` by magnitude after training, with nothing learnt since; in the
course of training on for as many epochs (`tuned`); in the course of training from the start (`gradual`); or at random
before it (`random`). `2:4` leaves two of each four inputs, in the course of training on. The accuracy is that on the
359 digits held out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import architrave
from architrave.ir.graph import Graph
from architrave.passes import apply
from architrave.sparsity.learning.training import Gradually
from architrave.sparsity.masks.masked import density, masks
from architrave.sparsity.masks.pattern import NM
from architrave.sparsity.masks.schedules import Gradual
from architrave.sparsity.scores.methods import METHODS
from architrave.sparsity.scores.plan import Plan, Task
from architrave.train import AdamW, Dataset, Evaluation, Loop, Objective, Recipe, Refresh, Schedule, Trainer, run
from architrave.train.data import open_data
from benchmarks.digits_quantized import BATCH, EXAMPLES, NETWORKS, settings

COLUMNS = ("dense", "at once", "tuned", "gradual", "random", "2:4")
ERK = Plan(0.1, distribution="erk")


@dataclass(frozen=True)
class Digits:
    """A network with masks and its weights, and the digits that it learns and is tested on."""

    graph: Graph
    weights: Mapping[str, Any]
    train: Dataset
    test: Dataset
    seed: int = 0
    backend: str = "numpy"

    @classmethod
    def untrained(cls, name: str, seed: int = 0, backend: str = "numpy") -> Digits:
        """A network of examples/digits, all of whose masks are true."""
        graph = architrave.load(Path(EXAMPLES) / f"{name}.arch")
        train, test = open_data("digits", graph)
        assert test is not None
        masked = apply(graph, "mask")
        return cls(masked.graph, masked.weights(architrave.init(graph, seed)), train, test, seed, backend)

    @property
    def accuracy(self) -> float:
        """The share of digits held out that it tells apart."""
        target = self.train.target_type(self.graph)
        return Evaluation(self.graph, Objective("cross_entropy"), target, self.backend).run(self.weights, self.test)[
            "accuracy"
        ]

    @property
    def density(self) -> float:
        """The share of the weights that is left."""
        return density(masks(self.graph, self.weights))

    def trained(self, epochs: int, rate: float, warmup: int = 0, decay: float = 0.0, *refresh: Refresh) -> Digits:
        """The network, trained on."""
        recipe = Recipe(AdamW(), Objective("cross_entropy"), decay)
        schedule = Schedule(rate, epochs * self.train.steps(BATCH), "cosine", warmup)
        target = self.train.target_type(self.graph)
        trainer = Trainer(
            self.graph, recipe, schedule, target, backend=self.backend, seed=self.seed, weights=self.weights
        )
        return replace(self, weights=run(trainer, self.train, Loop(epochs, BATCH, refresh=refresh)).weights)

    def gradually(self, plan: Plan, begin: float, end: float, **given: Any) -> Digits:
        """The network, trained on while it loses weights between two shares of the run."""
        steps = given["epochs"] * self.train.steps(BATCH)
        schedule = Gradual.over(plan.share, int(begin * steps), int(end * steps), max(1, steps // 60))
        return self.trained(given["epochs"], given["rate"], given["warmup"], given["decay"], Gradually(plan, schedule))

    def at_once(self, plan: Plan) -> Digits:
        """The network without the weights that a plan gives up."""
        return replace(self, weights=METHODS[plan.method](Task(self.graph, self.weights, plan)))


def row(name: str, seed: int = 0) -> dict[str, float]:
    """The accuracies of a network, by column."""
    given = settings()
    first = Digits.untrained(name, seed)
    dense = first.trained(**given)
    tuning = {**given, "epochs": 2 * given["epochs"]}
    found = {
        "dense": dense,
        "at once": dense.at_once(ERK),
        "tuned": dense.gradually(ERK, 0.1, 0.7, **tuning),
        "gradual": first.gradually(ERK, 0.1, 0.6, **given),
        "random": first.at_once(replace(ERK, method="random", seed=seed)).trained(**given),
        "2:4": dense.gradually(Plan(pattern=NM(2, 4)), 0.0, 0.5, **tuning),
    }
    return {column: each.accuracy for column, each in found.items()}


def main(names: list[str]) -> None:
    """Print a line for each network."""
    print(f"{'':8}" + "".join(f"{column:>9}" for column in COLUMNS))
    for name in names or NETWORKS:
        found = row(name)
        print(f"{name:8}" + "".join(f"{found[column]:>9.2%}" for column in COLUMNS), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
