"""`architrave factorize`: what it says and writes, and that bad input leaves no file behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import architrave
from tests.cli.conftest import Cli

BASE = "factorize net.arch --weights net.safetensors"


@pytest.fixture
def trained(cli: Cli, folder: Path) -> Path:
    """The folder with a checkpoint of net.arch, and a network without layers."""
    cli("weights", "init", "net.arch", "--output", "net.safetensors")
    (folder / "still.arch").write_text("model Still()(x: [N, 4]) -> [N, 4] = tanh(x)\n", encoding="utf-8")
    architrave.save_weights("still.safetensors", {})
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--keep 0.8", "Net: alds, a relative error of"),
        ("--keep 0.8 --by macs --method svd", "multiply-adds"),
        ("--energy 0.5 --method tucker", "svd"),
        ("--error 0.9 --only head", "head.weight"),
        ("--keep 0.9 --data points.npz -b numpy", "accuracy"),
        ("--keep 0.8 --method cp", "parameters"),
    ],
)
def test_what_is_said(cli: Cli, trained: Path, options: str, said: str) -> None:
    outcome = cli(*BASE.split(), *options.split())
    assert (outcome.code, said in outcome.out) == (0, True), outcome


def test_what_is_written_fits(cli: Cli, trained: Path) -> None:
    for package in ("jinja2", "matplotlib"):
        pytest.importorskip(package)
    outcome = cli(*f"{BASE} --keep 0.8 -o few.arch --report few.html".split())
    assert (outcome.code, outcome.err) == (0, "wrote few.arch\nwrote few.safetensors\nwrote few.html\n")
    graph = architrave.load("few.arch")
    weights = architrave.load_weights("few.safetensors")
    assert {path: tuple(w.shape) for path, w in weights.items()} == {w.op.path: w.shape for w in graph.weights}
    page = (trained / "few.html").read_text(encoding="utf-8")
    assert "hidden.weight" in page
    assert "<svg" in page


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (BASE, "how far layers are cut down"),
        (f"{BASE} --keep 0.01", "error[E930]"),
        (f"{BASE} --keep nan", "error[E931]"),
        (f"{BASE} --keep 2", "a share from 0 to 1"),
        (f"{BASE} --keep 0.8 --error 0.1", "error[E931]"),
        (f"{BASE} --keep 0.8 --method tukcer", "did you mean `tucker`?"),
        (f"{BASE} --keep 0.8 --only heda", "error[E931]"),
        (f"{BASE} --keep 0.8 --only op:cnv", "error[E805]"),
        (f"{BASE} --keep 0.8 --by bytes", "Invalid value for '--by'"),
        (f"{BASE} --keep 0.8 -o net.arch", "error[E705]"),
        (f"{BASE} --keep 0.8 -o few.txt", "must end in `.arch`"),
        (f"{BASE} --keep 0.8 -o -", "goes into files"),
        (f"{BASE} --keep 0.8 -o none/few.arch", "error[E520]"),
        ("factorize still.arch --weights still.safetensors --keep 0.8", "nothing in `Still` can be taken apart"),
        ("factorize net.arch --keep 0.8", "Missing option '--weights'"),
    ],
)
def test_bad_input_leaves_nothing_behind(cli: Cli, trained: Path, line: str, said: str) -> None:
    written = [] if "-o" in line else ["-o", "few.arch"]
    before = sorted(os.listdir(trained))
    outcome = cli(*line.split(), *written)
    assert (outcome.code, said in outcome.err) == (2, True), outcome
    assert sorted(os.listdir(trained)) == before
