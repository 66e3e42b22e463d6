"""How many handwritten digits networks tell apart in few bits: rounded after training, and trained on when rounded.

    python benchmarks/digits_quantized.py [NETWORK ...]

Networks are those of examples/digits: mlp, resnet, vit, lstm. Each is trained in floats, as train.toml says; folded and
rounded by the passes `deploy` and `quantize`, with scales calibrated on images of the training set; and for QAT trained
on for a quarter as many epochs, with learned step sizes. `int8` runs in integers where the pass `integer` finds how.
The accuracy is that on the 359 digits held out.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import architrave
from architrave.ir.graph import Graph
from architrave.passes import apply
from architrave.quantize import MSE, calibrate, weight_scales
from architrave.train import (
    AdamW,
    Dataset,
    Evaluation,
    Group,
    Loop,
    Objective,
    Recipe,
    Schedule,
    Trainer,
    open_data,
    run,
)

EXAMPLES = Path(__file__).parents[1] / "examples" / "digits"
NETWORKS = ("mlp", "resnet", "vit", "lstm")
COLUMNS = ("float", "int8", "4-bit PTQ", "4-bit QAT", "2-bit PTQ", "2-bit QAT")
BATCH = 32
SCALES = Group("*_scale", rate=0.1, decay=0.0)
"""Steps of optimizers like Adam are as large for a scale as for a weight, and scales are smaller."""


@dataclass(frozen=True)
class Digits:
    """A network with its weights, and the digits that it learns and is tested on."""

    graph: Graph
    weights: Mapping[str, Any]
    train: Dataset
    test: Dataset
    backend: str = "numpy"

    @classmethod
    def untrained(cls, name: str, backend: str = "numpy") -> Digits:
        """A network of examples/digits."""
        graph = architrave.load(EXAMPLES / f"{name}.arch")
        train, test = open_data("digits", graph)
        assert test is not None
        return cls(graph, architrave.init(graph), train, test, backend)

    @property
    def accuracy(self) -> float:
        """The share of digits held out that it tells apart."""
        evaluation = Evaluation(
            self.graph, Objective("cross_entropy"), self.train.target_type(self.graph), self.backend
        )
        return evaluation.run(self.weights, self.test)["accuracy"]

    def trained(self, epochs: int, rate: float, warmup: int = 0, decay: float = 0.0) -> Digits:
        """The network, trained on."""
        recipe = Recipe(AdamW(), Objective("cross_entropy"), decay, (SCALES,))
        schedule = Schedule(rate, epochs * self.train.steps(BATCH), "cosine", warmup)
        target = self.train.target_type(self.graph)
        trainer = Trainer(self.graph, recipe, schedule, target, backend=self.backend, weights=self.weights)
        return self.with_weights(run(trainer, self.train, Loop(epochs, BATCH)).weights)

    def rounded(self, bits: int) -> Digits:
        """Folded, with quantizers for weights and activations, and scales for these."""
        made = apply(self.graph, f"deploy,quantize{{bits={bits} act={bits}}},ranges")
        images = ((arrays[0],) for arrays in islice(self.train.epoch(BATCH, 0, 0), 8))
        weights = weight_scales(made.graph, made.weights(self.weights)) if bits < 8 else made.weights(self.weights)
        held = calibrate(made.graph, weights, images, MSE(), backend=self.backend)
        return Digits(made.graph, held, self.train, self.test, self.backend)

    def lowered(self) -> Digits:
        """A rounded network in integers."""
        made = apply(self.graph, "integer,hoist,clean")
        return Digits(made.graph, made.weights(self.weights), self.train, self.test, self.backend)

    def with_weights(self, weights: Mapping[str, Any]) -> Digits:
        """The same network, with other weights."""
        return Digits(self.graph, weights, self.train, self.test, self.backend)


def settings() -> dict[str, Any]:
    """How examples/digits/train.toml trains."""
    found = tomllib.loads((EXAMPLES / "train.toml").read_text(encoding="utf-8"))
    return {name: found[name] for name in ("epochs", "rate", "warmup", "decay")}


def row(name: str) -> dict[str, float]:
    """The accuracies of a network, by column."""
    given = settings()
    network = Digits.untrained(name).trained(**given)
    found = {"float": network.accuracy, "int8": network.rounded(8).lowered().accuracy}
    for bits in (4, 2):
        rounded = network.rounded(bits)
        found[f"{bits}-bit PTQ"] = rounded.accuracy
        found[f"{bits}-bit QAT"] = rounded.trained(given["epochs"] // 4, given["rate"] / 3).accuracy
    return found


def main(names: list[str]) -> None:
    """Print a line for each network."""
    print(f"{'':8}" + "".join(f"{column:>11}" for column in COLUMNS))
    for name in names or NETWORKS:
        found = row(name)
        print(f"{name:8}" + "".join(f"{found[column]:>11.2%}" for column in COLUMNS), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
