"""Each optimizer against PyTorch's or, where it has none, against its formula written a second time in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from architrave.ir.source import ArchitraveError
from architrave.train import (
    LAMB,
    LARS,
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Group,
    NovoGrad,
    Objective,
    Optimizer,
    Recipe,
    RMSProp,
    Schedule,
    Trainer,
    optimizer,
)
from tests.train.networks import BACKENDS, INNER, network

STEPS = 20
RATE = 0.05
Array = np.ndarray[Any, Any]


def slopes(seed: int = 0) -> Iterator[tuple[Array, Array]]:
    """The gradients of the matrix and of the vector, step by step."""
    rng = np.random.default_rng(seed)
    return ((rng.normal(size=(3, 4)), rng.normal(size=4)) for _ in range(STEPS))


def trained(optimizer: Optimizer, decay: float, backend: str = "numpy", **settings: Any) -> dict[str, Array]:
    """The weights of `Inner` after the steps."""
    recipe = Recipe(optimizer, Objective(), decay, **settings)
    trainer = Trainer(network(INNER), recipe, Schedule(RATE, STEPS), backend=backend, dtype="float64")
    for pair in slopes():
        trainer.train(*pair)
    return trainer.weights()


def first() -> dict[str, Array]:
    recipe = Recipe(SGD(), Objective())
    return Trainer(network(INNER), recipe, Schedule(RATE, STEPS), dtype="float64").weights()


@dataclass(frozen=True)
class Case:
    ours: Optimizer
    theirs: Callable[..., torch.optim.Optimizer]
    decay: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)


TORCH = {
    "sgd": Case(SGD(), torch.optim.SGD),
    "sgd, decay": Case(SGD(), torch.optim.SGD, 0.1),
    "sgd, momentum": Case(SGD(0.9), torch.optim.SGD, 0.1, {"momentum": 0.9}),
    "sgd, nesterov": Case(SGD(0.9, nesterov=True), torch.optim.SGD, 0.1, {"momentum": 0.9, "nesterov": True}),
    "adam": Case(Adam(), torch.optim.Adam),
    "adam, decay": Case(Adam(0.8, 0.95, 1e-6), torch.optim.Adam, 0.1, {"betas": (0.8, 0.95), "eps": 1e-6}),
    "adamw": Case(AdamW(), torch.optim.AdamW),
    "adamw, decay": Case(AdamW(), torch.optim.AdamW, 0.1),
    "rmsprop": Case(RMSProp(), torch.optim.RMSprop, 0.1),
    "rmsprop, momentum": Case(RMSProp(momentum=0.9), torch.optim.RMSprop, 0.1, {"momentum": 0.9}),
    "rmsprop, centered": Case(
        RMSProp(0.9, momentum=0.5, centered=True),
        torch.optim.RMSprop,
        0.0,
        {"alpha": 0.9, "momentum": 0.5, "centered": True},
    ),
}


@pytest.mark.parametrize("case", TORCH.values(), ids=TORCH)
def test_steps_are_those_of_pytorch(case: Case) -> None:
    """The vector does not decay, as a bias does not."""
    matrix, vector = (torch.nn.Parameter(torch.from_numpy(w.copy())) for w in first().values())
    groups = [{"params": [matrix], "weight_decay": case.decay}, {"params": [vector], "weight_decay": 0.0}]
    theirs = case.theirs(groups, lr=RATE, **case.settings)
    for pair in slopes():
        matrix.grad, vector.grad = map(torch.from_numpy, pair)
        theirs.step()
    ours = trained(case.ours, case.decay)
    np.testing.assert_allclose(ours["matrix"], matrix.detach().numpy(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(ours["vector"], vector.detach().numpy(), rtol=1e-12, atol=1e-13)


def lars(w: Array, gradients: list[Array], decay: float, momentum: float = 0.9, trust: float = 0.001) -> Array:
    v = np.zeros_like(w)
    for g in gradients:
        sizes = np.linalg.norm(w), np.linalg.norm(g)
        local = trust * sizes[0] / (sizes[1] + decay * sizes[0]) if decay else 1.0
        v = momentum * v + RATE * local * (g + decay * w)
        w = w - v
    return w


def lamb(w: Array, gradients: list[Array], decay: float, b1: float = 0.9, b2: float = 0.999) -> Array:
    m = s = np.zeros_like(w)
    for t, g in enumerate(gradients, 1):
        m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g**2
        step = (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + 1e-6) + decay * w
        scale = np.linalg.norm(w) / np.linalg.norm(step) if decay else 1.0
        w = w - RATE * scale * step
    return w


def novograd(w: Array, gradients: list[Array], decay: float, b1: float = 0.95, b2: float = 0.98) -> Array:
    m, s = np.zeros_like(w), (gradients[0] ** 2).sum()
    for t, g in enumerate(gradients):
        s = b2 * s + (1 - b2) * (g**2).sum() if t else s
        m = b1 * m + g / (np.sqrt(s) + 1e-8) + decay * w
        w = w - RATE * m
    return w


FORMULAS = {"lars": (LARS(), lars), "lamb": (LAMB(), lamb), "novograd": (NovoGrad(), novograd)}


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", FORMULAS)
def test_steps_are_those_of_the_paper(name: str, decay: float) -> None:
    ours, formula = FORMULAS[name]
    found, start, given = trained(ours, decay), first(), list(slopes())
    matrix = formula(start["matrix"], [g for g, _ in given], decay)
    vector = formula(start["vector"], [g for _, g in given], 0.0)
    np.testing.assert_allclose(found["matrix"], matrix, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found["vector"], vector, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS[1:])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_backends_agree(name: str, backend: str) -> None:
    expected, found = (trained(optimizer(name), 0.1, b) for b in ("numpy", backend))
    for path, weight in expected.items():
        np.testing.assert_allclose(found[path], weight, rtol=1e-12, atol=1e-13)


def test_no_gradient_and_no_weight_are_no_zero_division() -> None:
    """Where a weight or its gradient is all zeros, the ratios of LARS and LAMB are 1."""
    for kind in (LARS(), LAMB(), NovoGrad()):
        recipe = Recipe(kind, Objective(), 0.1)
        trainer = Trainer(network(INNER), recipe, Schedule(RATE, STEPS), dtype="float64")
        trainer.restore({path: np.zeros_like(w) for path, w in trainer.states().items()}, 0)
        trainer.train(np.zeros((3, 4)), np.zeros(4))
        trainer.train(np.ones((3, 4)), np.zeros(4))
        assert all(np.isfinite(w).all() for w in trainer.states().values())


def test_groups_say_how_fast_a_weight_learns_and_how_it_decays() -> None:
    plain = trained(SGD(), 0.0)
    frozen = trained(SGD(), 0.0, groups=(Group("mat*", rate=0.0),))
    np.testing.assert_array_equal(frozen["matrix"], first()["matrix"])
    np.testing.assert_array_equal(frozen["vector"], plain["vector"])
    decayed = trained(SGD(), 0.1, groups=(Group("vector"), Group("*", decay=0.0)))
    np.testing.assert_array_equal(decayed["matrix"], plain["matrix"])
    assert (decayed["vector"] != plain["vector"]).all()
    slow = trained(SGD(), 0.0, groups=(Group("matrix", rate=0.5),))
    np.testing.assert_allclose(2 * (slow["matrix"] - first()["matrix"]), plain["matrix"] - first()["matrix"])


@pytest.mark.parametrize(("name", "settings"), [("sdg", {}), ("sgd", {"momentun": 0.9})])
def test_unknown_names_are_errors(name: str, settings: dict[str, float]) -> None:
    with pytest.raises(ArchitraveError, match="E540"):
        optimizer(name, **settings)
