"""`architrave train --teacher`: a network learns from trained ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from architrave.weights import read
from tests.cli.conftest import Cli

TRAIN = ["train", "net.arch", "--data", "points.npz", "--backend", "numpy", "--batch", "8", "--rate", "0.01"]
TEACHER = ["--teacher", "net.arch", "--teacher-weights", "large.safetensors"]


@pytest.fixture
def taught(cli: Cli) -> Cli:
    assert cli(*TRAIN, "--weights", "large.safetensors", "--seed", "5").code == 0
    return cli


def test_what_is_written_is_the_student_alone(taught: Cli, folder: Path) -> None:
    outcome = taught(*TRAIN, *TEACHER, "--weights", "small.safetensors", "--epochs", "3")
    assert outcome.code == 0, outcome.err
    assert "val accuracy" in outcome.out
    assert sorted(read(folder / "small.safetensors")) == ["head.bias", "head.weight", "hidden.bias", "hidden.weight"]


def test_a_student_that_starts_as_its_teacher_has_nothing_to_learn_from_it(taught: Cli, folder: Path) -> None:
    start = ["--from", "large.safetensors", "--teacher-share", "1", "--epochs", "1", "--weights", "same.safetensors"]
    assert taught(*TRAIN, *TEACHER, *start).code == 0
    before, after = (read(folder / name) for name in ("large.safetensors", "same.safetensors"))
    assert max(abs(before[path] - after[path]).max() for path in before) < 2e-2
    history = taught(*TRAIN, *TEACHER, *start, "--json").json()["history"]
    assert history[0]["loss"] < 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--teacher", "net.arch"], "each teacher has a file of weights"),
        (["--teacher", "nothing.arch", "--teacher-weights", "large.safetensors"], "E606"),
        (["--teacher", "net.arch", "--teacher-weights", "nothing.safetensors"], "E501"),
        (["--teacher-share", "2"], "is not in the range"),
    ],
)
def test_what_is_refused(taught: Cli, options: list[str], message: str) -> None:
    outcome = taught(*TRAIN, *options)
    assert outcome.code != 0
    assert message in outcome.err
