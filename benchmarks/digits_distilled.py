"""What a small network of digits learns from larger ones, beside labels or without any: accuracies held out.

    python benchmarks/digits_distilled.py [SEEDS]

Two convolutions of 16 and 32 channels teach two of 2 and 4. All are trained as `architrave train` does, with AdamW and
a cosine schedule; the accuracy is the mean over seeds, by default 5, on the fifth of the digits that is held out. With
`few labels` the students see the labels of 100 examples, and what teachers say of all.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

import architrave
from architrave.distil import Adversary, Distillation, Features, Logits, Relations, Teacher
from architrave.ir.graph import Graph
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.data import Dataset

NET = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

block Layer(width: int, stride: int)(x: [N, C, H, W]) -> [N, width, _, _] {
    return x -> conv: conv2d(width, 3, stride = stride, bias = false) -> bn: batch_norm -> relu
}

model Net(width: int = 2)(image: [N, 1, 8, 8]) -> [N, 10] {
    x = image -> layer[0]: Layer(width, 1) -> layer[1]: Layer(2 * width, 2)
    return x -> global_avg_pool -> head: linear(10)
}
"""
EPOCHS, BATCH, RATE = 20, 32, 1e-2
CLASSES = "cross_entropy"


@dataclass(frozen=True)
class Digits:
    """Examples to learn from and to be judged by."""

    train: Dataset
    test: Dataset

    def run(self, network: Graph, objective: Objective, seed: int, data: Dataset | None = None) -> tuple[Any, float]:
        """The weights after a run, and their accuracy on what is held out."""
        data = data or self.train
        # As many steps, however many examples there are.
        epochs = EPOCHS * self.train.steps(BATCH) // data.steps(BATCH)
        schedule = Schedule(RATE, epochs * data.steps(BATCH), "cosine")
        recipe = Recipe(AdamW(), objective, decay=1e-2)
        trainer = Trainer(network, recipe, schedule, data.target_type(network), backend="torch", seed=seed)
        for epoch in range(epochs):
            for arrays in data.epoch(BATCH, seed, epoch):
                trainer.train(*arrays)
        return trainer.weights(), trainer.evaluation.run(trainer.weights(), self.test)["accuracy"]


def main() -> None:
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    student, large = architrave.loads(NET), architrave.loads(NET, width=16)
    train, test = open_data("digits", student)
    assert isinstance(train, Dataset)
    assert test is not None
    digits = Digits(train, test)
    taught = [digits.run(large, Objective(CLASSES), 100 + seed) for seed in range(3)]
    teachers = tuple(Teacher(large, weights) for weights, _ in taught)
    print("teachers:", ", ".join(f"{accuracy:.2%}" for _, accuracy in taught))
    few = train.taken(np.arange(100))
    ways: dict[str, tuple[Objective, Dataset]] = {
        "labels": (Objective(CLASSES), train),
        "few labels": (Objective(CLASSES), few),
        "labels and logits": (
            Distillation(CLASSES, teachers=teachers[:1], terms=(Logits(4.0, 0.5),), share=0.5),
            train,
        ),
        "labels and features": (
            Distillation(CLASSES, teachers=teachers[:1], terms=(Features("layer.1", "layer.1"),)),
            train,
        ),
        "labels and relations": (
            Distillation(CLASSES, teachers=teachers[:1], terms=(Relations("gram", share=100.0),)),
            train,
        ),
        "logits alone": (Distillation(teachers=teachers[:1], terms=(Logits(4.0),)), train),
        "logits of three": (Distillation(teachers=teachers, terms=(Logits(4.0),)), train),
        "MEAL V2": (Distillation(teachers=teachers, terms=(Logits(1.0), Adversary(0.1))), train),
    }
    for name, (objective, data) in ways.items():
        found = [digits.run(student, objective, seed, data)[1] for seed in seeds]
        print(f"{name:<22}{np.mean(found):>8.2%}  from {min(found):.2%} to {max(found):.2%}", flush=True)


if __name__ == "__main__":
    main()
