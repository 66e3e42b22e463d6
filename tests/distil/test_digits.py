"""Digits: a student that sees few labels learns more from what a teacher says of all examples."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.distil import Distillation, Logits, Teacher
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.data import Dataset

NET = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

model Net(width: int = 3)(image: [N, 1, 8, 8]) -> [N, 10] {
    x = image -> conv1: conv2d(width, 3) -> bn1: batch_norm -> relu
    x = x -> conv2: conv2d(2 * width, 3, stride = 2) -> bn2: batch_norm -> relu
    return x -> global_avg_pool -> head: linear(10)
}
"""


@pytest.mark.slow
def test_a_teacher_makes_up_for_labels() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("torch")
    student, large = architrave.loads(NET), architrave.loads(NET, width=12)
    train, test = open_data("digits", student)
    assert isinstance(train, Dataset)
    assert test is not None

    def run(network, objective, data, steps=600):
        recipe, schedule = Recipe(AdamW(), objective), Schedule(1e-2, steps, "cosine")
        trainer = Trainer(network, recipe, schedule, data.target_type(network), backend="torch")
        while trainer.steps < steps:
            for arrays in data.epoch(32, 0, trainer.steps // data.steps(32)):
                trainer.train(*arrays)
        return trainer.weights(), trainer.evaluation.run(trainer.weights(), test)["accuracy"]

    weights, accuracy = run(large, Objective("cross_entropy"), train)
    assert accuracy > 0.95
    few = train.taken(np.arange(60))
    _, by_labels = run(student, Objective("cross_entropy"), few)
    _, by_teacher = run(student, Distillation(teachers=(Teacher(large, weights),), terms=(Logits(2.0),)), train)
    assert by_teacher > by_labels + 0.05
