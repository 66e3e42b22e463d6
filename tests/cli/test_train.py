"""Training and sampling from the command line: what is shown, what is left behind, and what goes wrong."""

import math
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

from architrave.cli.train import command
from architrave.cli.watch import curves, sparkline
from architrave.train import OPTIMIZERS, Trainer
from architrave.train.schedules import SHAPES
from tests.cli.conftest import NET, Cli

TRAIN = ["train", "net.arch", "--data", "points.npz", "--backend", "numpy", "--batch", "8", "--rate", "0.01"]


def test_a_run_is_shown_row_by_row(cli: Cli) -> None:
    outcome = cli(*TRAIN, "--epochs", "3")
    head, *rows = outcome.out.splitlines()
    assert outcome.code == 0
    assert head.split() == ["epoch", "loss", "val", "loss", "val", "accuracy", "rate", "seconds"]
    assert [row.split()[0] for row in rows[:3]] == ["1", "2", "3"]
    assert rows[-1].startswith("loss ")
    assert "who knows only how often each class comes" in rows[-1]


def test_the_seed_is_the_run(cli: Cli) -> None:
    first, again, other = (cli(*TRAIN, "--json", "--seed", seed).json()["history"] for seed in ("1", "1", "2"))
    losses = [[row["loss"] for row in rows] for rows in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]


def test_what_is_kept(cli: Cli, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    outcome = cli(*TRAIN, "--plot", "a.png", "--report", "a.html", "--weights", "a.safetensors")
    assert outcome.code == 0
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "a.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "Net on points.npz" in page
    assert cli("weights", "inspect", "a.safetensors", "net.arch").code == 0


def test_stopping_early_keeps_the_best(cli: Cli) -> None:
    outcome = cli(*TRAIN[:-2], "--rate", "0.5", "--epochs", "60", "--patience", "2", "--json")
    found = outcome.json()
    losses = [row["val_loss"] for row in found["history"]]
    assert found["stopped"]
    assert len(losses) < 60
    assert losses.index(min(losses)) == len(losses) - 3


def interrupted_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Ctrl-C come in a step."""
    train = Trainer.train

    def interrupted(self: Trainer, *arrays: Any) -> float:
        if self.steps == steps:
            raise KeyboardInterrupt
        return train(self, *arrays)

    monkeypatch.setattr(Trainer, "train", interrupted)


def test_an_interrupted_run_says_how_to_go_on_and_does(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cli(*TRAIN, "--json").json()["history"]
    with monkeypatch.context() as patch:
        interrupted_after(14, patch)
        outcome = cli(*TRAIN, "--checkpoints", "run")
        assert outcome.code == 130
        assert "`--resume` goes on from the last checkpoint in run" in outcome.err
    again = cli(*TRAIN, "--checkpoints", "run", "--resume", "--json").json()["history"]
    assert [row["loss"] for row in again] == [row["loss"] for row in whole]
    assert [row["val_loss"] for row in again] == [row["val_loss"] for row in whole]


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "with `--checkpoints FOLDER`"), (["--checkpoints", "run"], "before there was a checkpoint")],
)
def test_a_run_that_leaves_nothing_says_so(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    interrupted_after(2, monkeypatch)
    outcome = cli(*TRAIN, *options)
    assert outcome.code == 130
    assert said in outcome.err


def test_options_from_a_file(cli: Cli, folder: Path) -> None:
    text = 'data = "points.npz"\nbackend = "numpy"\nbatch = 8\nepochs = 2\nset = { width = 5 }\noptimizer = "sgd"\n'
    (folder / "a.toml").write_text(text + "[optimizer-option]\nmomentum = 0.9\nnesterov = true\n", encoding="utf-8")
    assert len(cli("train", "net.arch", "--config", "a.toml", "--json").json()["history"]) == 2
    outcome = cli("train", "net.arch", "--config", "a.toml", "--epochs", "3", "--weights", "a.safetensors", "--json")
    assert len(outcome.json()["history"]) == 3, "the command line comes first"
    shapes = {w["path"]: w["shape"] for w in cli("weights", "inspect", "a.safetensors", "--json").json()["weights"]}
    assert shapes["hidden.weight"] == [5, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch = 3", "did you mean `epochs`?"),
        ("rate", "no TOML"),
        ("rate = true", "`rate` in a.toml is True"),
        ("set = 3", "`set` in a.toml is 3"),
        ("resume = 1", "`resume` in a.toml is 1"),
        ("a = " + "[" * 10_000, "no TOML"),
    ],
)
def test_broken_files_of_options(cli: Cli, folder: Path, text: str, said: str) -> None:
    (folder / "a.toml").write_text(text, encoding="utf-8")
    outcome = cli(*TRAIN, "--config", "a.toml")
    assert (outcome.code, "E569" in outcome.err, said in outcome.err) == (2, True, True), outcome.err


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("train net.arch --data nothing", "E560"),
        ("train net.arch --data net.npz", "E561"),
        ("train net.arch --data wide.npz --set classes=2", "E564"),
        ("train net.arch --data nan.npz", "E566"),
        ("train net.arch --data points.npz --batch 1000", "E548"),
        ("train net.arch --data points.npz --config none.toml", "E569"),
        ("train net.arch --data points.npz --rate 1e38 --optimizer sgd --batch 8", "E546"),
        ("train net.arch --data points.npz --plot nowhere/a.png --batch 8 --epochs 1", "E520"),
        ("sample letters.arch letters.safetensors --prompt x", "E567"),
        ("sample letters.arch net.arch", "E501"),
        ("sample net.arch letters.safetensors", "E548"),
        ("train net.arch --data letters.txt", "E548"),
    ],
)
def test_what_is_wrong_is_named(cli: Cli, folder: Path, line: str, code: str) -> None:
    x = np.ones((40, 4), np.float32)
    np.savez(folder / "wide.npz", x=x, labels=np.arange(40) % 3)
    (folder / "letters.txt").write_text("abc" * 9, encoding="utf-8")
    np.savez(folder / "nan.npz", x=x * np.nan, labels=np.arange(40) % 3)
    outcome = cli(*line.split(), "--backend", "numpy")
    assert (outcome.code, f"error[{code}]" in outcome.err) == (2, True), outcome.err


def test_labels_are_the_same_text_for_the_same_seed(cli: Cli) -> None:
    line = ["sample", "letters.arch", "letters.safetensors", "--backend", "numpy", "--length", "30", "--seed"]
    first, again, other = (cli(*line, seed).out for seed in ("1", "1", "2"))
    assert first == again != other
    assert set(first.strip()) <= set("abc")


@pytest.mark.parametrize(
    ("numbers", "line"),
    [([0.0, 7.0], "▁█"), ([1.0, 1.0], "▁▁"), ([7.0, 3.0, 0.0], "█▄▁"), ([float(i) for i in range(1000)], None)],
)
def test_sparklines(numbers: list[float], line: str | None) -> None:
    drawn = sparkline(numbers)
    assert drawn == line if line is not None else len(drawn) <= 61


def test_curves_are_of_what_there_is() -> None:
    rows = [{"epoch": i, "loss": 1 / i, "rate": 0.1} for i in (1, 2)]
    assert curves(rows) == ["        loss  █▁  1.0000 to 0.5000"]
    assert curves(rows[:1]) == []
    assert math.isclose(rows[1]["loss"], 0.5)


OWN = """model Own()(x: [N, 4], y: [N, 3]) -> [] {
    param w: [4, 3] = zeros
    d = x @ w - y
    return mean(d * d)
}
"""


@pytest.mark.parametrize("model", [OWN, NET], ids=["its own", "of numbers"])
def test_the_loss_suits_the_targets(cli: Cli, folder: Path, model: str) -> None:
    x = np.random.default_rng(0).normal(size=(40, 4)).astype("f4")
    np.savez(folder / "numbers.npz", x=x, y=x[:, :3])
    (folder / "net.arch").write_text(model, encoding="utf-8")
    options = ["--data", "numbers.npz", "--backend", "numpy", "--batch", "8", "--rate", "0.05"]
    history = cli("train", "net.arch", *options, "--json").json()["history"]
    assert history[-1]["val_loss"] < history[0]["val_loss"] / 2
    assert "val_accuracy" not in history[0]


def test_the_choices_are_those_of_the_library() -> None:
    choices = {p.name: p.type.choices for p in command.params if isinstance(p.type, click.Choice)}
    assert set(choices["optimizer"]) == set(OPTIMIZERS)
    assert set(choices["schedule"]) == set(SHAPES)
