"""Shen and Savvides, "MEAL V2: Boosting Vanilla ResNet-50 to 80%+ Top-1 Accuracy on ImageNet without Tricks" (2020)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.distil import Adversary, Distillation, Logits, Teacher
from architrave.ir.autodiff import value_and_grad
from architrave.ir.cost import parameters
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.rewrite import rebuild
from architrave.ir.verify import verify
from architrave.train import AdamW, Group, Recipe, Schedule, Trainer, step_graph

NET = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm
from std.regularize import dropout

model Net(width: int = 4)(image: [N, 1, 8, 8]) -> [N, 6] {
    x = image -> conv: conv2d(width, 3) -> bn: batch_norm -> relu -> dropout(0.2)
    return x -> global_avg_pool -> head: linear(6)
}
"""
IMAGES = np.random.default_rng(0).normal(size=(8, 1, 8, 8)).astype(np.float32)
MEAL = (Logits(temperature=1.0), Adversary())


def drawn(graph: Graph, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    first = architrave.init(graph, seed)
    return {p: np.abs(w + 0.3 * rng.normal(size=w.shape)).astype(w.dtype) for p, w in first.items()}


def net(width: int = 4) -> Graph:
    return architrave.loads(NET, width=width)


def teachers(*widths: int) -> tuple[Teacher, ...]:
    return tuple(Teacher(net(width), drawn(net(width), seed)) for seed, width in enumerate(widths))


def loss(student: Graph, weights: dict[str, Any], objective: Distillation) -> float:
    attached = architrave.ir.mode.specialize(replace(objective.attached(student), updates=()), training=False)
    held = {**architrave.init(attached), **weights, **objective.held}
    return float(architrave.interpret(attached, [IMAGES], held).outputs[0])


def test_of_a_teacher_like_the_student_nothing_is_left_to_learn():
    student, weights = net(), drawn(net(), 0)
    objective = Distillation(teachers=(Teacher(student, weights),), terms=(Logits(1.0),))
    assert loss(student, weights, objective) == pytest.approx(0.0, abs=1e-7)
    assert loss(student, drawn(student, 1), objective) > 1e-3


def test_the_probabilities_of_teachers_are_averaged():
    student, weights = net(), drawn(net(), 5)
    several = teachers(3, 4, 6)
    found = loss(student, weights, Distillation(teachers=several, terms=(Logits(1.0),)))

    def probabilities(graph: Graph, held: Any) -> Any:
        scores = architrave.interpret(graph, [IMAGES], held).outputs[0]
        return np.exp(scores) / np.exp(scores).sum(1, keepdims=True)

    wanted = np.mean([probabilities(each.graph, each.weights) for each in several], axis=0)
    divergence = (wanted * np.log(wanted / probabilities(student, weights))).sum(1).mean()
    assert found == pytest.approx(divergence, rel=1e-4)


def test_the_gradient_of_the_discriminator_is_reversed_on_its_way_to_the_student():
    student, objective = net(), Distillation(teachers=teachers(4), terms=(Adversary(),))
    attached = architrave.ir.mode.specialize(replace(objective.attached(student), updates=()), training=False)
    held = {**drawn(attached, 3), **objective.held}

    def gradients(graph: Graph) -> dict[str, Any]:
        wanted = [w for w in graph.weights if isinstance(w.op, Param)]
        found = architrave.interpret(value_and_grad(graph, wanted), [IMAGES], held).outputs[1:]
        return dict(zip(map(path_of, wanted), found, strict=True))

    def forward(node: Any, operands: tuple[Value, ...]) -> Any:
        """`stop_gradient(2 p) - p` as p."""
        if node.op.name != "subtract" or operands[0].op.name != "stop_gradient":
            return None
        return (operands[1],)

    reversed_, plain = gradients(attached), gradients(rebuild(attached, forward))
    for path, found in reversed_.items():
        sign = 1.0 if path.startswith("distil") else -1.0
        np.testing.assert_allclose(found, sign * plain[path], atol=1e-7)
    assert any(np.abs(found).max() > 1e-5 for path, found in reversed_.items() if not path.startswith("distil"))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_the_student_learns_and_nothing_else_of_the_network_does(backend):
    student, several = net(), teachers(6, 8)
    objective = Distillation(teachers=several, terms=MEAL)
    recipe = Recipe(AdamW(), objective, decay=1e-5, groups=(Group("distil.*", rate=2.0, decay=0.0),))
    trainer = Trainer(student, recipe, Schedule(2e-2, 40), backend=backend, weights=drawn(student, 7))
    before = loss(student, trainer.weights(), objective)
    for _ in range(40):
        trainer.train(IMAGES)
    assert sorted(trainer.weights()) == sorted(path_of(w) for w in student.weights)
    assert loss(student, trainer.weights(), Distillation(teachers=several, terms=(Logits(1.0),))) < before
    states = trainer.states()
    for i, teacher in enumerate(several):
        assert all(
            np.array_equal(states[f"teacher.{i}.{path}"], teacher.weights[path])
            for path in ("conv.weight", "head.bias")
        )
        assert np.array_equal(states[f"teacher.{i}.bn.running_mean"], teacher.weights["bn.running_mean"])
    assert not np.array_equal(states["distil.1.0.weight"], architrave.init(trainer.graph)["distil.1.0.weight"])


def test_what_is_exported_is_a_plain_resnet_50():
    student = architrave.load("resnet50")
    objective = Distillation(teachers=(Teacher(student, {}), Teacher(architrave.load("resnet101"), {})), terms=MEAL)
    attached = verify(objective.attached(student))
    assert parameters(student) == 25_557_032
    assert parameters(attached) == 25_557_032 + 1000 * 500 + 500 + 500 * 250 + 250 + 250 + 1
    assert [w for w in attached.weights if w in set(student.weights)] == list(student.weights)
    assert set(student.nodes) <= set(attached.nodes) | {student.outputs[0].node}


def test_a_step_of_it_reads_no_labels():
    graph = step_graph(net(), Recipe(AdamW(), Distillation(teachers=teachers(4), terms=MEAL)))
    assert [v.hint for v in graph.inputs] == ["image", "rate"]
