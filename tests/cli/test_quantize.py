"""`architrave quantize`: what it says and writes, and that bad input leaves no file behind."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import architrave
from tests.cli.conftest import Cli

BASE = "quantize net.arch --weights net.safetensors --calibrate points.npz -b numpy"
BIG = np.zeros((4, 5), "f4")


@pytest.fixture
def trained(cli: Cli, folder: Path) -> Path:
    """The folder with a checkpoint of net.arch, and bad examples of many kinds."""
    for framework in ("torch", "jax"):
        pytest.importorskip(framework)
    cli("weights", "init", "net.arch", "--output", "net.safetensors")
    rng = np.random.default_rng(0)
    good = rng.normal(size=(8, 4)).astype("f4")
    bad = {
        "wide": {"x": rng.normal(size=(8, 5)).astype("f4")},
        "none": {"x": good[:0]},
        "same": {"x": np.full((8, 4), 3, "f4")},
        "nan": {"x": np.where(good > 1, np.nan, good)},
        "huge": {"x": np.sign(good) * np.float32(3.4e38)},
        "other": {"a": good, "b": good},
    }
    for name, arrays in bad.items():
        np.savez(folder / f"{name}.npz", **arrays)
    (folder / "damaged.npz").write_bytes(b"PK\3\4" + bytes(30))
    (folder / "few.txt").write_text("abc", encoding="utf-8")
    np.savez(folder / "names.npz", **{"x\x1b[31m": good})
    (folder / "still.arch").write_text("model Still()(x: [N, 4]) -> [N, 4] = tanh(x)\n", encoding="utf-8")
    architrave.save_weights("still.safetensors", {})
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "bits per weight       32"),
        ("", "Net: deploy,quantize\n"),
        ("--integer", "numpy, torch, jax give the same bytes, on 48 bytes"),
        ("--integer --symmetric --power-of-two --observer entropy --least-error", "give the same bytes"),
        ("--bits 4 --act 4 --method gptq --observer mse", "4 x 4"),
        ("--bits 4 --act 0 --integer", "weight-only"),
        ("--budget 4 --act 0", "x 4"),
        ("--only head --integer", "float x float"),
        ("--method adaround --observer percentile --per tensor", "granularity=tensor"),
        ("--migrate smoothquant --method bias-correction --observer moving-average", "SQNR"),
        ("--reestimate --set width=8", "SQNR"),
        ("--held-out 0 --examples 1000", "accuracy"),
    ],
)
def test_what_is_said(cli: Cli, trained: Path, options: str, said: str) -> None:
    outcome = cli(*BASE.split(), *options.split())
    assert (outcome.code, said in outcome.out) == (0, True), outcome


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{BASE} --bits 1", "error[E803]"),
        (f"{BASE} --bits 17", "error[E803]"),
        (f"{BASE} --act 1", "error[E803]"),
        (f"{BASE} --budget 1", "the fewest that can be had are 2"),
        (f"{BASE} --budget nan", "error[E918]"),
        (f"{BASE} --group -1", "error[E803]"),
        (f"{BASE} --method adaruond", "did you mean `adaround`?"),
        (f"{BASE} --migrate awk", "did you mean `awq`?"),
        (f"{BASE} --observer msee", "did you mean `mse`?"),
        (f"{BASE} --backend nampy", "error[E400]"),
        (f"{BASE} --calibrate wide.npz", "an example of wide.npz is [5], but the input `x` is [N, 4]"),
        (f"{BASE} --calibrate none.npz", "none.npz has no examples"),
        (f"{BASE} --calibrate same.npz", "all numbers of same.npz are the same"),
        (f"{BASE} --calibrate nan.npz", "`x` in nan.npz holds NaN or infinity"),
        (f"{BASE} --calibrate huge.npz", "error[E911]"),
        (f"{BASE} --calibrate damaged.npz", "damaged.npz is damaged"),
        (f"{BASE} --calibrate missing.npz", "there is no file missing.npz"),
        (f"{BASE} --calibrate other.npz", "other.npz has a, b, but `Net` takes x"),
        (f"{BASE} --calibrate few.txt", "`Net` does not read characters"),
        (f"{BASE} --weights missing.safetensors", "cannot read missing.safetensors"),
        (f"{BASE} --weights letters.safetensors", "does not fit `Net`"),
        (f"{BASE} -o few.txt", "must end in `.arch`"),
        (f"{BASE} -o -", "go"),
        (f"{BASE} -o no/few.arch", "there is no folder no"),
        (f"{BASE} -o few.arch --report no/few.html", "there is no folder no"),
        (f"{BASE} -o net.arch", "error[E705]"),
        (f"{BASE} -o few.arch --weights-out points.npz", "error[E705]"),
        (f"{BASE} -o few.arch --report few.safetensors", "error[E705]"),
        (f"{BASE} -o few.arch --report made", "cannot write made"),
        ("quantize still.arch --weights still.safetensors --calibrate points.npz", "nothing in `Still` can be rounded"),
        ("quantize net.arch --calibrate points.npz", "Missing option '--weights'"),
        ("quantize net.arch --weights net.safetensors", "Missing option '--calibrate'"),
    ],
)
def test_nothing_is_written_where_anything_fails(cli: Cli, trained: Path, line: str, said: str) -> None:
    if "-o" not in line:
        line = f"{line} -o few.arch --report few.html"
    (trained / "made").mkdir()
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    outcome = cli(*line.split())
    assert (outcome.code, said in outcome.err) == (2, True), outcome
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before
    assert not any(name.startswith(".") for name in os.listdir(trained))


def test_what_is_written_is_the_network_that_was_scored(cli: Cli, trained: Path) -> None:
    outcome = cli(*BASE.split(), "--integer", "-o", "few.arch", "--report", "few.html", "--json")
    found = outcome.json()
    assert (found["file"], found["weights"], found["report"]) == ("few.arch", "few.safetensors", "few.html")
    graph = architrave.load("few.arch")
    weights = architrave.load_weights("few.safetensors", graph)
    assert {a.dtype for path, a in weights.items() if a.ndim == 2} == {np.dtype(np.int8)}
    x = np.load("points.npz")["x"]
    scores = [architrave.compile(graph, name)(weights, x) for name in ("numpy", "torch", "jax")]
    assert all(np.array_equal(scores[0], other) for other in scores)
    page = (trained / "few.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "hidden" in page
    assert "give the same" in page


def test_the_page_shows_no_markup_of_others(cli: Cli, trained: Path) -> None:
    os.rename("points.npz", "<b>.npz")
    outcome = cli(*BASE.replace("points.npz", "<b>.npz").split(), "--report", "few.html")
    assert outcome.code == 0, outcome
    page = (trained / "few.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;.npz" in page
    assert "<b>.npz" not in page
