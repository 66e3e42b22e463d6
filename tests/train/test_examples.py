"""The networks in examples/digits and examples/text learn: a little in each test run, all there is in the slow ones."""

import itertools
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from architrave import load
from architrave.cli.app import run
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data
from architrave.train.data import entropy

EXAMPLES = Path(__file__).parents[2] / "examples"
DIGITS = {"mlp": 0.97, "resnet": 0.98, "vit": 0.97, "lstm": 0.97, "binary": 0.97}
"""Each network, and the share of digits held out that it tells apart after the run of examples/digits/README.md."""
PSALMS = EXAMPLES / "text" / "psalms.txt"

backends = pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])


def settings(folder: str) -> Mapping[str, Any]:
    return tomllib.loads((EXAMPLES / folder / "train.toml").read_text(encoding="utf-8"))


def after(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[Mapping[str, Any]]:
    """The history of a run from the command line."""
    capsys.readouterr()
    code = run(["train", *map(str, arguments), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0, found
    history: list[Mapping[str, Any]] = found["history"]
    return history


@pytest.mark.parametrize("name", DIGITS)
def test_a_network_begins_to_tell_digits_apart(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    model, config = EXAMPLES / "digits" / f"{name}.arch", EXAMPLES / "digits" / "train.toml"
    (row,) = after(capsys, model, "--config", config, "--epochs", 1, "--backend", "numpy")
    assert row["val_accuracy"] > 0.4, "who guesses is right for a tenth"


@pytest.mark.slow
@backends
@pytest.mark.parametrize("name", DIGITS)
def test_a_network_tells_digits_apart(name: str, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("sklearn", backend):
        pytest.importorskip(package)
    model, config = EXAMPLES / "digits" / f"{name}.arch", EXAMPLES / "digits" / "train.toml"
    history = after(capsys, model, "--config", config, "--backend", backend)
    assert history[-1]["val_accuracy"] >= DIGITS[name]


def digit_losses(name: str, backend: str, steps: int) -> list[float]:
    """The losses of a network on the first batches of digits, in float64."""
    graph = load(EXAMPLES / "digits" / f"{name}.arch")
    train, _ = open_data("digits", graph)
    recipe, schedule = Recipe(AdamW(), Objective("cross_entropy"), decay=0.05), Schedule(3e-3, steps, warmup=40)
    trainer = Trainer(graph, recipe, schedule, train.target_type(graph), backend=backend, dtype="float64")
    batches = itertools.chain.from_iterable(train.epoch(32, 0, epoch) for epoch in itertools.count())
    return [trainer.train(*arrays) for arrays in itertools.islice(batches, steps)]


@pytest.mark.slow
@pytest.mark.parametrize("name", DIGITS)
def test_the_loss_curves_of_the_backends_are_one(name: str) -> None:
    for package in ("sklearn", "torch", "jax"):
        pytest.importorskip(package)
    ours = digit_losses(name, "numpy", 200)
    for backend in ("torch", "jax"):
        np.testing.assert_allclose(digit_losses(name, backend, 200), ours, rtol=1e-8, err_msg=backend)


def gpt_losses(backend: str, steps: int, dtype: str = "float32") -> tuple[list[float], float | None]:
    """The losses of a small GPT on the first batches, and what a loss would be by how often each character comes."""
    graph = load(EXAMPLES / "text" / "gpt.arch", width=32, depth=1)
    train, _ = open_data(str(PSALMS), graph, 0.1)
    recipe = Recipe(AdamW(), Objective("cross_entropy"))
    trainer = Trainer(graph, recipe, Schedule(0.01, 60), train.target_type(graph), backend=backend, dtype=dtype)
    batches = itertools.islice(train.epoch(8, 0, 0), steps)
    return [trainer.train(*arrays) for arrays in batches], entropy(train)


def test_the_gpt_begins_to_read() -> None:
    losses, known = gpt_losses("numpy", 60)
    assert known is not None
    assert losses[0] > np.log(63) - 0.5
    assert np.mean(losses[-10:]) < known < losses[0]


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_the_gpt_reads_alike(backend: str) -> None:
    pytest.importorskip(backend)
    ours, _ = gpt_losses("numpy", 4, "float64")
    theirs, _ = gpt_losses(backend, 4, "float64")
    np.testing.assert_allclose(theirs, ours, rtol=1e-8)


@pytest.mark.slow
@backends
def test_the_gpt_reads_and_writes(backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(backend)
    model, config, weights = (
        EXAMPLES / "text" / "gpt.arch",
        EXAMPLES / "text" / "train.toml",
        tmp_path / "gpt.safetensors",
    )
    history = after(capsys, model, "--data", PSALMS, "--config", config, "--backend", backend, "--weights", weights)
    assert history[-1]["val_loss"] < 1.75
    assert run(["sample", str(model), str(weights), "--backend", backend, "--length", "200"]) == 0
    text = capsys.readouterr().out
    assert len(text) >= 200
    assert set(text) <= set(PSALMS.read_text(encoding="utf-8"))


def test_the_settings_are_options() -> None:
    assert settings("digits")["data"] == "digits"
    assert settings("text")["held-out"] == 0.1
