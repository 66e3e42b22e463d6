"""What changes a network between two steps of its training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from architrave.ir.source import ArchitraveError
from architrave.train import AdamW, Folder, Loop, Schedule, Trainer, run
from tests.train.networks import BACKENDS, MLP, mlp_data, trainer


def halve(one: Trainer, batch: Sequence[Any]) -> None:
    """Every third step `a.weight` is halved, and what AdamW remembers of its mean is forgotten."""
    assert len(batch[0]) == 16
    if one.steps % 3 == 0:
        memory = next(path for path in one.states() if path.startswith("optimizer.") and path.endswith(".a.weight"))
        held = one.states()
        one.assign({"a.weight": held["a.weight"] / 2, memory: np.zeros_like(held[memory])})


def started(backend: str) -> Trainer:
    return trainer(MLP, mlp_data(), AdamW(), backend, schedule=Schedule(1e-2, 100))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_run_that_was_cut_off_goes_on_as_it_was(backend: str, tmp_path: Path) -> None:
    loop = Loop(4, 16, checkpoints=Folder(tmp_path), refresh=(halve,))
    whole = run(started(backend), mlp_data(), Loop(4, 16, refresh=(halve,))).weights
    run(started(backend), mlp_data(), Loop(2, 16, checkpoints=Folder(tmp_path), refresh=(halve,)))
    resumed = run(started(backend), mlp_data(), loop, resume=True).weights
    plain = run(started(backend), mlp_data(), Loop(4, 16)).weights
    for path in whole:
        np.testing.assert_array_equal(whole[path], resumed[path])
    assert np.abs(whole["a.weight"] - plain["a.weight"]).max() > 0.01


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_assigned_is_there_before_and_after_the_first_step(backend: str) -> None:
    one, x = started(backend), mlp_data().taken(np.arange(16)).arrays
    for _ in range(2):
        one.assign({"a.bias": np.full(16, 3.0)})
        assert (one.weights()["a.bias"] == 3).all()
        one.train(*x)


def test_what_does_not_fit_changes_nothing() -> None:
    one = started("numpy")
    before = one.states()
    for wrong in ({"a.bias": np.zeros(3)}, {"nothing": np.zeros(3)}):
        with pytest.raises(ArchitraveError, match="E500"):
            one.assign(wrong)
    assert before.keys() == one.states().keys()
    np.testing.assert_array_equal(before["a.bias"], one.states()["a.bias"])
