"""Schedules against PyTorch's, and at their ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as theirs

from architrave.ir.source import ArchitraveError
from architrave.train import Schedule

RATE, STEPS = 0.3, 50
Made = Callable[[torch.optim.Optimizer], theirs.LRScheduler]

CASES: dict[str, tuple[Schedule, Made]] = {
    "constant": (Schedule(RATE, STEPS), lambda o: theirs.ConstantLR(o, 1.0)),
    "cosine": (
        Schedule(RATE, STEPS, "cosine", end=0.1),
        lambda o: theirs.CosineAnnealingLR(o, STEPS, eta_min=0.1 * RATE),
    ),
    "linear": (Schedule(RATE, STEPS, "linear"), lambda o: theirs.LinearLR(o, 1.0, 0.0, STEPS)),
    "step": (Schedule(RATE, STEPS, "step", every=7, factor=0.5), lambda o: theirs.StepLR(o, 7, 0.5)),
    "exponential": (
        Schedule(RATE, STEPS, "exponential", every=1, factor=0.9),
        lambda o: theirs.ExponentialLR(o, 0.9),
    ),
    "one-cycle": (
        Schedule(RATE, STEPS, "one-cycle", end=1 / 25e4),
        lambda o: theirs.OneCycleLR(o, RATE, STEPS, cycle_momentum=False),
    ),
}


@pytest.mark.parametrize(("ours", "made"), CASES.values(), ids=CASES)
def test_rates_are_those_of_pytorch(ours: Schedule, made: Made) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=RATE)
    schedule, rates = made(optimizer), []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose([ours(step) for step in range(STEPS)], rates, rtol=1e-9, atol=1e-12)


def test_the_rate_warms_up_and_then_the_shape_begins() -> None:
    schedule = Schedule(1.0, 30, "cosine", warmup=10)
    assert [schedule(step) for step in range(10)] == [(step + 1) / 10 for step in range(10)]
    assert schedule(10) == 1.0
    assert schedule(20) == pytest.approx(0.5)
    assert schedule(30) == schedule(99) == pytest.approx(0.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"rate": 0.0},
        {"rate": -1.0},
        {"rate": float("nan")},
        {"shape": "wave"},
        {"shape": "step"},
        {"shape": "exponential"},
    ],
)
def test_what_cannot_be_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ArchitraveError, match="E541"):
        Schedule(**{"rate": 0.1, "steps": 10, **settings})


def test_every_shape_has_a_rate_for_every_step() -> None:
    for ours, _ in CASES.values():
        assert all(ours(step) >= 0 for step in range(2 * STEPS))
    assert all(Schedule(1.0, steps, "one-cycle")(step) >= 0 for steps in range(1, 8) for step in range(10))
