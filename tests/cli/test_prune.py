"""`architrave prune`: what it says and writes; bad input leaves no file behind."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import architrave
from tests.cli.conftest import Cli

BASE = "prune net.arch --weights net.safetensors -b numpy"


@pytest.fixture
def trained(cli: Cli, folder: Path) -> Path:
    """The folder with checkpoints, a good and a bad one."""
    cli("weights", "init", "net.arch", "--output", "net.safetensors")
    weights = architrave.load_weights("net.safetensors")
    architrave.save_weights("nan.safetensors", {k: np.where(w > 0, np.nan, w) for k, w in weights.items()})
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--keep 0.5", "hidden  [8, 4]         [4, 4]"),
        ("--keep 0.5 --method taylor --data points.npz", "accuracy"),
        ("--keep 0.5", "whole: hidden.weight:1: the input `x` has it"),
        ("--keep 0.8 --by parameters --multiple 2", "multiply-adds        56  42 (75.0%)"),
    ],
)
def test_what_is_said(cli: Cli, trained: Path, options: str, said: str) -> None:
    outcome = cli(*BASE.split(), *options.split())
    assert (outcome.code, said in outcome.out) == (0, True), outcome


def test_what_is_written(cli: Cli, trained: Path) -> None:
    outcome = cli(*f"{BASE} --keep 0.5 -o small.arch --report small.html".split())
    assert outcome.code == 0
    network = architrave.load("small.arch")
    weights = architrave.load_weights("small.safetensors", network)
    assert architrave.compile(network, "numpy")(weights, np.ones((2, 4), np.float32)).shape == (2, 3)
    assert "hidden: linear(4) -> relu -> head: linear(3)" in Path("small.arch").read_text(encoding="utf-8")
    page = Path("small.html").read_text(encoding="utf-8")
    assert "hidden.weight:0  4/8" in page
    assert not re.findall(r'(?:src|href)="http', page.replace("xlink:href", ""))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{BASE} --keep 0", "error[E936]"),
        (f"{BASE} --keep 0.01", "keep 0.125 or more"),
        (f"{BASE} --method magnitud", "did you mean `magnitude`?"),
        (f"{BASE} --method taylor", "error[E938]"),
        (f"{BASE} --only nothing", "error[E939]"),
        (f"{BASE} --weights nan.safetensors", "error[E937]"),
        (f"{BASE} -o net.arch", "error[E705]"),
        (f"{BASE} -o nowhere/small.arch", "error[E520]"),
    ],
)
def test_bad_input_leaves_nothing(cli: Cli, trained: Path, line: str, said: str) -> None:
    before = sorted(trained.iterdir())
    arguments = line.split() if " -o " in line else [*line.split(), "-o", "small.arch", "--report", "small.html"]
    outcome = cli(*arguments)
    assert (outcome.code != 0, said in outcome.err) == (True, True), outcome
    assert sorted(trained.iterdir()) == before
