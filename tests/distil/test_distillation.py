"""Students that learn from teachers by logits, features and relations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.distil import Distillation, Features, Logits, Relations, Teacher
from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.train import AdamW, Dataset, Loop, Recipe, Schedule, Trainer, run

NET = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

block Layer(width: int)(x: [N, C, H, W]) -> [N, width, H, W] = x -> conv: conv2d(width, 3) -> bn: batch_norm -> relu

model Net(width: int = 4)(image: [N, 1, 8, 8]) -> [N, 6] {
    x = image -> layer[0]: Layer(width) -> layer[1]: Layer(width)
    return x -> global_avg_pool -> head: linear(6)
}
"""
RNG: Any = np.random.default_rng(0)
IMAGES = RNG.normal(size=(24, 1, 8, 8)).astype(np.float32)
LABELS = RNG.integers(0, 6, 24)


def net(width: int = 4) -> Graph:
    return architrave.loads(NET, width=width)


def drawn(graph: Graph, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    first = architrave.init(graph, seed)
    return {p: np.abs(w + 0.3 * rng.normal(size=w.shape)).astype(w.dtype) for p, w in first.items()}


def teacher(width: int, seed: int = 0) -> Teacher:
    return Teacher(net(width), drawn(net(width), seed))


def loss(student: Graph, weights: dict[str, Any], objective: Distillation) -> float:
    attached = specialize(objective.attached(student), training=False)
    held = {**architrave.init(attached), **weights, **objective.held}
    return float(architrave.interpret(attached, [IMAGES], held).outputs[0])


TERMS = {
    "logits": Logits(),
    "features": Features("layer.1", "layer.1"),
    "features by places": Features("layer.0", "layer.1", by="spatial_transfer"),
    "gram": Relations("gram", "layer.1", "layer.1"),
    "distances": Relations("relational_distance"),
    "angles": Relations("relational_angle", "layer.0", "layer.0"),
}


@pytest.mark.parametrize("name", [name for name in TERMS if "places" not in name])
def test_a_student_that_is_its_teacher_has_nothing_to_learn(name):
    student, weights = net(), drawn(net(), 0)
    objective = Distillation(teachers=(Teacher(student, weights),), terms=(TERMS[name],))
    assert loss(student, weights, objective) == pytest.approx(0.0, abs=1e-6)
    assert loss(student, drawn(student, 1), objective) > 1e-6


@pytest.mark.parametrize("name", TERMS)
def test_each_term_becomes_smaller_by_training(name):
    student = net()
    objective = Distillation(teachers=(teacher(7),), terms=(TERMS[name],))
    trainer = Trainer(student, Recipe(AdamW(), objective), Schedule(2e-2, 25), weights=drawn(student, 3))
    losses = [trainer.train(IMAGES) for _ in range(25)]
    assert losses[-1] < 0.8 * losses[0]
    assert sorted(trainer.weights()) == sorted(path_of(w) for w in student.weights)


def test_an_adapter_is_there_where_channels_differ():
    student = net()
    wide = Distillation(teachers=(teacher(7),), terms=(TERMS["features"],)).attached(student)
    alike = Distillation(teachers=(teacher(4),), terms=(TERMS["features"],)).attached(student)
    adapters = [[w for w in graph.weights if path_of(w).startswith("distil")] for graph in (wide, alike)]
    assert [w.shape for w in adapters[0]] == [(7, 4, 1, 1), (7,)]
    assert adapters[1] == []


def test_labels_and_teachers_together_and_accuracy_by_labels():
    data = Dataset((IMAGES,), LABELS)
    student = net()
    objective = Distillation(
        "cross_entropy", teachers=(teacher(6), teacher(8, 1)), terms=(Logits(2.0, 0.5),), share=0.5
    )
    trainer = Trainer(student, Recipe(AdamW(), objective), Schedule(1e-2, 9), parse_type("i64[N]"))
    outcome = run(trainer, data, Loop(3, 8, data))
    assert outcome.history[-1]["loss"] < outcome.history[0]["loss"]
    assert 0 <= outcome.history[-1]["val_accuracy"] <= 1
    hard = Distillation("cross_entropy", teachers=objective.teachers, terms=())
    soft = Distillation(teachers=objective.teachers, terms=(Logits(2.0),))
    weights, both = drawn(student, 2), specialize(objective.attached(student, parse_type("i64[N]")), training=False)
    held = {**weights, **objective.held}
    found = float(architrave.interpret(both, [IMAGES, LABELS], held).outputs[0])
    labels = specialize(hard.attached(student, parse_type("i64[N]")), training=False)
    alone = float(architrave.interpret(labels, [IMAGES, LABELS], held).outputs[0])
    assert found == pytest.approx(0.5 * alone + 0.5 * loss(student, weights, soft), rel=1e-5)


def test_backends_take_the_same_steps():
    student = net()
    objective = Distillation(teachers=(teacher(6),), terms=(Logits(), TERMS["features"], TERMS["gram"]))
    trainers = [
        Trainer(student, Recipe(AdamW(), objective), Schedule(1e-2, 9), backend=backend, weights=drawn(student, 4))
        for backend in ("numpy", "torch")
    ]
    ours, theirs = ([trainer.train(IMAGES) for _ in range(3)] for trainer in trainers)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (Distillation(), r"E934.*`Net` has no teacher"),
        (Distillation(teachers=(teacher(4),), terms=()), r"E934.*there is nothing that `Net` is to match"),
        (
            Distillation(teachers=(teacher(4),), terms=(Features("layer.7", "layer.1"),)),
            r"E934.*no one value is passed out of `layer.7`",
        ),
        (Distillation(teachers=(teacher(4),), terms=(Relations(of=1),)), r"E934.*there is no teacher 1"),
        (
            Distillation(teachers=(teacher(4),), terms=(Features("layer.1", ""),)),
            r"E934.*differ in more than their channels",
        ),
        (Distillation(teachers=(teacher(4),), terms=(Features("head", "head", by="nothing"),)), r"E542.*`nothing`"),
    ],
)
def test_what_is_refused(objective, message):
    with pytest.raises(ArchitraveError, match=message):
        objective.attached(net())
