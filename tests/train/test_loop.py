"""The loop over epochs: history, validation, stopping early, what it is told and tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.train import (
    SGD,
    AdamW,
    Dataset,
    Folder,
    Loop,
    Objective,
    Recipe,
    Schedule,
    Trainer,
    run,
)
from tests.train.networks import BACKENDS, MLP, mlp_data, network, trainer


def parts() -> tuple[Dataset, Dataset]:
    return mlp_data(128).split(0.25)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_network_learns(backend: str) -> None:
    """What is told on the way is what the history says in the end."""
    data, held_out = parts()
    steps: list[tuple[int, float]] = []
    rows: list[Any] = []
    one = trainer(MLP, data, AdamW(), backend, dtype="float32", schedule=Schedule(2e-2, 120, "cosine"))
    loop = Loop(
        20, 16, held_out, on_step=lambda step, loss: steps.append((step, loss)), on_epoch=lambda row: rows.append(row)
    )
    outcome = run(one, data, loop)
    assert [step for step, _ in steps] == list(range(1, 121))
    assert outcome.history == rows
    assert [row["epoch"] for row in rows] == list(range(1, 21))
    assert rows[3]["loss"] == pytest.approx(np.mean([loss for _, loss in steps[18:24]]))
    assert rows[-1]["val_accuracy"] > 0.6
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    assert not outcome.stopped
    best = min(rows, key=lambda row: row["val_loss"])
    assert outcome.best is not None
    assert one.evaluation.run(outcome.best, held_out)["loss"] == pytest.approx(best["val_loss"], rel=1e-6)
    assert one.evaluation.run(outcome.weights, held_out)["loss"] == pytest.approx(rows[-1]["val_loss"], rel=1e-6)


def test_it_stops_when_nothing_gets_better(tmp_path: Path) -> None:
    """With a rate of next to nothing the first epoch is the best for all that rounding can tell."""
    data, held_out = parts()
    one = trainer(MLP, data, SGD(), "numpy", schedule=Schedule(1e-30, 100))
    outcome = run(one, data, Loop(50, 16, held_out, patience=3, checkpoints=Folder(tmp_path)))
    assert outcome.stopped
    assert len(outcome.history) == 4
    again = trainer(MLP, data, SGD(), "numpy", schedule=Schedule(1e-30, 100))
    resumed = run(again, data, Loop(50, 16, held_out, patience=3, checkpoints=Folder(tmp_path)), resume=True)
    assert resumed.stopped
    assert len(resumed.history) == 4


def test_patience_takes_data_to_validate_by() -> None:
    data = mlp_data()
    with pytest.raises(ArchitraveError, match="E548"):
        run(trainer(MLP, data, SGD(), "numpy"), data, Loop(1, 16, patience=2))


@pytest.mark.parametrize("batch", [0, 97])
def test_a_batch_that_cannot_be_is_an_error(batch: int) -> None:
    data = mlp_data()
    with pytest.raises(ArchitraveError, match="E548"):
        run(trainer(MLP, data, SGD(), "numpy"), data, Loop(1, batch))


def test_what_is_not_finite_leaves_the_checkpoints(tmp_path: Path) -> None:
    data = mlp_data()
    folder = Folder(tmp_path)
    inputs = data.inputs[0].copy()
    inputs[data.inputs[0][:, 0].argmax()] = np.nan
    run(trainer(MLP, data, SGD(), "numpy"), data, Loop(2, 16, checkpoints=folder))
    broken = Dataset((inputs,), data.target)
    with pytest.raises(ArchitraveError, match="E546"):
        run(trainer(MLP, broken, SGD(), "numpy"), broken, Loop(4, 16, checkpoints=folder), resume=True)
    assert [path.name for path in folder.all()] == ["step-000000006.safetensors", "step-000000012.safetensors"]


def test_a_network_that_is_its_own_loss() -> None:
    source = """
from std.linear import linear
model Rebuilt()(x: [N, 8]) -> [] {
    y = x -> down: linear(3) -> up: linear(8)
    return mean((x - y) * (x - y))
}
"""
    graph = network(source)
    data = Dataset(mlp_data().inputs)
    one = Trainer(graph, Recipe(AdamW(), Objective()), Schedule(1e-2, 100), dtype="float64")
    history = run(one, data, Loop(10, 16, data)).history
    assert history[-1]["val_loss"] < 0.9 * history[0]["val_loss"]
    assert "val_accuracy" not in history[0]


def test_a_loss_of_one_s_own(tmp_path: Path) -> None:
    """A fn of a file, with static arguments; the targets are floats."""
    (tmp_path / "losses.arch").write_text(
        "fn far(x: [*S], target: [*S], scale: float = 1.0) {\n    return scale * mean(abs(x - target))\n}\n"
    )
    graph = architrave.loads(MLP)
    data = Dataset(mlp_data().inputs, np.zeros((96, 4)))

    def loss(scale: float) -> float:
        objective = Objective(f"{tmp_path / 'losses.arch'}:far", {"scale": scale})
        one = Trainer(graph, Recipe(SGD(), objective), Schedule(1e-2, 9), data.target_type(graph), dtype="float64")
        return one.train(*data.arrays)

    assert loss(3.0) == pytest.approx(3 * loss(1.0))
    assert 0.1 < loss(1.0) < 1.0


def test_weights_to_start_from() -> None:
    data = mlp_data()
    first = trainer(MLP, data, SGD(), "numpy", seed=1)
    first.train(*data.arrays)
    second = trainer(MLP, data, SGD(), "numpy", weights=first.weights())
    assert all((second.weights()[path] == w).all() for path, w in first.weights().items())
    with pytest.raises(ArchitraveError, match="E502"):
        trainer(MLP, data, SGD(), "numpy", weights={})
