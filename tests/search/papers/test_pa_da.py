"""PA&DA: Lu, Lin and others (2023)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.type_parser import parse_type
from architrave.models import find_in_text
from architrave.passes.search.switched import switched
from architrave.search.supernet.draws import Single
from architrave.search.supernet.pa_da import PaDa, example_norms, importance, variance
from architrave.train import SGD, AdamW, Objective, Recipe, Schedule, Trainer
from architrave.train.objective import Weighted
from architrave.train.paths import PathTrainer
from tests.search.supernets import IMAGES, LABELS, space

TOY = """
from std.linear import linear

block scaled(by: float)(x: [N, C]) -> [N, C] = by * (x -> linear(C, bias = false))

model Toy()(x: [N, 4]) -> [N, 3] {
    y = x -> stem: linear(4)
    y = y -> choice op { weak: scaled(0.1), middle: scaled(1.0), strong: scaled(3.0), skip: identity }
    return y -> head: linear(3)
}
"""
RNG: Any = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 4)), RNG.integers(0, 3, 12)
RECIPE = Recipe(SGD(), Objective("cross_entropy"))
TARGET = parse_type("i64[N]")


def toy() -> Graph:
    return find_in_text(TOY).elaborate({}, keep_choices=True).graph


def gradients() -> list[dict[str, np.ndarray]]:
    """Those of all weights of the supernet, for each path."""
    supernet = switched(toy())
    found = []
    for label in supernet.labels["op"]:
        draw = Single({"op": label})
        trainer = PathTrainer(supernet, draw, RECIPE, Schedule(1e-2, 9), TARGET, dtype="float64", gradients=True)
        trainer.train(X, Y)
        found.append(trainer.gradients)
    return found


def flat(gradient: dict[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([gradient[path].ravel() for path in sorted(gradient)])


def test_the_estimate_is_the_uniform_mean_and_its_variance_the_least() -> None:
    each = np.stack([flat(gradient) for gradient in gradients()])
    norms, m = np.linalg.norm(each, axis=1), len(each)
    mean = each.mean(0)
    uniform, chosen = np.full(m, 1 / m), importance(norms)
    assert chosen.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_allclose(chosen / norms, (chosen / norms)[0], rtol=1e-12)
    for p in (uniform, chosen, importance(norms, 0.5)):
        estimates = each / (m * p)[:, None]
        np.testing.assert_allclose(p @ estimates, mean, rtol=0, atol=1e-6)
        wanted = float(p @ np.square(estimates - mean).sum(1))
        assert variance(norms, p, float(np.linalg.norm(mean))) == pytest.approx(wanted, rel=1e-9)
    least = variance(norms, chosen, float(np.linalg.norm(mean)))
    assert least <= variance(norms, importance(norms, 0.5), float(np.linalg.norm(mean)))
    assert least <= variance(norms, uniform, float(np.linalg.norm(mean)))
    assert least == pytest.approx((norms.sum() / m) ** 2 - mean @ mean, rel=1e-9)


def test_examples_that_are_weighed_by_how_likely_they_were_leave_the_gradient_as_it_is() -> None:
    network = switched(toy()).member({"op": "middle"})
    weights = architrave.init(network, 0, "float64")
    (scores,) = architrave.interpret(network, [X], weights).outputs
    chances = importance(example_norms(scores, Y), 0.5)
    assert chances.sum() == pytest.approx(1, abs=1e-15)

    def gradient(inputs: np.ndarray, labels: np.ndarray, *weight: np.ndarray) -> np.ndarray:
        recipe = Recipe(SGD(), Weighted("cross_entropy") if weight else Objective("cross_entropy"))
        trainer = Trainer(network, recipe, Schedule(1e-2, 9), TARGET, dtype="float64", weights=weights, gradients=True)
        trainer.train(inputs, labels, *weight)
        return flat(trainer.gradients)

    mean = sum(
        chances[i] * gradient(X[i : i + 1], Y[i : i + 1], 1 / (len(X) * chances[i : i + 1])) for i in range(len(X))
    )
    np.testing.assert_allclose(mean, gradient(X, Y), rtol=0, atol=1e-6)


def test_the_norm_of_an_example_is_that_of_the_gradient_by_its_scores() -> None:
    scores = RNG.normal(size=(5, 3))
    labels = np.array([0, 1, 2, 1, 0])
    text = "model Scores()(x: [5, 3]) {\n param shift: [5, 3] = zeros\n return x + shift\n}\n"
    recipe = Recipe(SGD(), Objective("cross_entropy", {"reduction": "sum"}))
    trainer = Trainer(
        architrave.loads(text), recipe, Schedule(1e-2, 9), parse_type("i64[5]"), dtype="float64", gradients=True
    )
    trainer.train(scores, labels)
    wanted = np.linalg.norm(trainer.gradients["shift"], axis=1)
    np.testing.assert_allclose(example_norms(scores, labels), wanted, rtol=1e-9)


def test_training() -> None:
    images = IMAGES + 4.0 * LABELS[:, None, None, None]
    recipe = Recipe(AdamW(), Objective("cross_entropy"))
    found = PaDa(switched(space()), [images], LABELS, recipe, Schedule(3e-2, 60), batch=6)
    losses = []
    for _ in range(4):
        losses.append(np.mean([found.train() for _ in range(15)]))
        found.refresh()
        for chances in (*found.paths.values(), found.examples):
            assert chances.sum() == pytest.approx(1, abs=1e-12)
            assert (chances >= 0.5 / len(chances) - 1e-12).all()
    # What has no weights has the uniform part alone.
    labels = found.supernet.labels["op.1"]
    assert found.paths["op.1"][labels.index("skip")] == pytest.approx(0.5 / len(labels))
    assert losses[-1] < losses[0]


def test_examples_are_judged_by_the_steps_that_drew_them() -> None:
    """By the scores that the member of the step gave before it learned, on average over an epoch."""
    found = PaDa(switched(toy()), [X], Y, RECIPE, Schedule(0.1, 9), batch=4, share=1.0, dtype="float64")
    norms: dict[int, list[float]] = {}
    for step in range(3):
        places = np.random.default_rng((0, step, 1)).choice(len(Y), 4, p=found.examples)
        weights = {**found.trainer.weights(), **found.supernet.setting(found.drawn(step))}
        (scores,) = architrave.interpret(found.supernet.graph, [X[places]], weights).outputs
        found.train()
        for place, norm in zip(places, example_norms(scores, Y[places]), strict=True):
            norms.setdefault(int(place), []).append(float(norm))
    assert len(norms) < len(Y)
    found.refresh()
    known = {place: np.mean(each) for place, each in norms.items()}
    mean = np.mean([*known.values()])
    wanted = np.array([known.get(place, mean) for place in range(len(Y))])
    np.testing.assert_allclose(found.examples, wanted / wanted.sum(), rtol=1e-9)


def test_nothing_to_go_by() -> None:
    np.testing.assert_array_equal(importance([0.0, 0.0, 0.0, 0.0]), np.full(4, 0.25))
