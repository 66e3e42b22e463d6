"""`architrave sparsify` and `architrave train --sparsity`: what they say and write; bad input leaves no file behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import architrave
from tests.cli.conftest import Cli

BASE = "sparsify net.arch --weights net.safetensors -b numpy"
TRAIN = "train net.arch --data points.npz --batch 4 --epochs 5 -b numpy --weights new.safetensors"


@pytest.fixture
def trained(cli: Cli, folder: Path) -> Path:
    """The folder with checkpoints, a good and a bad one."""
    cli("weights", "init", "net.arch", "--output", "net.safetensors")
    weights = architrave.load_weights("net.safetensors")
    architrave.save_weights("nan.safetensors", {k: np.where(w > 0, np.nan, w) for k, w in weights.items()})
    (folder / "still.arch").write_text("model Still()(x: [N, 4]) -> [N, 4] = tanh(x)\n", encoding="utf-8")
    architrave.save_weights("still.safetensors", {})
    return folder


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--density 0.25", "all                 56    14   25.00%"),
        ("--density 0.25 --distribution erk --method random --seed 3", "Net: random, unstructured"),
        ("--pattern 1:2", "Net: magnitude, 1:2"),
        ("--pattern 2:4 --permute", "permuted: hidden.weight:0: +"),
        ("--density 0.5 --pattern block:4x2", "dense: head.weight: blocks of 4x2 do not divide 3 outputs and 8 inputs"),
        ("--density 0.5 --only head", "hidden.weight            32    32  100.00%"),
        ("--density 0.5 --only head", "without dense ones       24    12   50.00%"),
        ("--density 0.5 --only head", "dense: hidden.weight: it is not among those chosen"),
        ("--density 0.5 --data points.npz", "accuracy: "),
    ],
)
def test_what_is_said(cli: Cli, trained: Path, options: str, said: str) -> None:
    outcome = cli(*BASE.split(), *options.split())
    assert (outcome.code, said in outcome.out) == (0, True), outcome


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (BASE, "how many numbers stay is not said"),
        (f"{BASE} --density 0", "error[E925]"),
        (f"{BASE} --density 1.5", "error[E925]"),
        (f"{BASE} --density nan", "error[E925]"),
        (f"{BASE} --density 0.5 --method magnitud", "did you mean `magnitude`?"),
        (f"{BASE} --density 0.5 --distribution erq", "did you mean"),
        (f"{BASE} --density 0.5 --pattern 4:2", "error[E926]"),
        (f"{BASE} --density 0.4 --pattern 2:4", "`2:4` leaves a density of 0.5, not of 0.4"),
        (f"{BASE} --density 0.5 --permute", "channels are permuted for patterns such as `2:4`"),
        (f"{BASE} --pattern 2:3", "no weight can be made sparse as `2:3`: `hidden.weight`: 3 does not divide"),
        (f"{BASE} --density 0.5 --weights nan.safetensors", "error[E807]"),
        (f"{BASE} --density 0.5 --only nothing", "nothing in `Net` can be masked"),
        (f"{BASE} --density 0.5 -o net.arch", "error[E705]"),
        (f"{BASE} --density 0.5 --execution --keep-masks", "leave out one of both"),
        (f"{BASE} --density 0.5 --execution --at M=3", "error[E702]"),
        ("sparsify still.arch --weights still.safetensors --density 0.5", "nothing in `Still` can be masked"),
        (f"{TRAIN} --sparsity 1", "error[E925]"),
        (f"{TRAIN} --sparsity 0.5 --sparsity-option metod=random", "did you mean `method`?"),
        (f"{TRAIN} --sparsity 0.5 --sparsity-option begin=x", "is a number, not `x`"),
        (f"{TRAIN} --sparsity 0.5 --sparsity-option begin=0.7", "error[E925]"),
        (f"{TRAIN} --sparsity 0.5 --sparsity-option every=1000", "are not done within the"),
        (f"{TRAIN} --sparsity 0.5 --sparsity-option method=nope", "error[E925]"),
        (f"{TRAIN} --sparsity 0.5 --patience 2", "leave out one of both"),
        (f"{TRAIN} --sparsity-option method=random", "needs --sparsity"),
    ],
)
def test_nothing_is_written_where_anything_fails(cli: Cli, trained: Path, line: str, said: str) -> None:
    if line.startswith("sparsify") and "-o" not in line.split():
        line = f"{line} -o few.arch"
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    outcome = cli(*line.split())
    assert (outcome.code, said in outcome.err) == (2, True), outcome
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before


def test_the_network_stays_and_its_weights_have_zeros(cli: Cli, trained: Path) -> None:
    cli(*BASE.split(), "--density", "0.25", "-o", "few.arch")
    graph = architrave.load("few.arch")
    weights = architrave.load_weights("few.safetensors", graph)
    assert graph == architrave.load("net.arch")
    assert sum(np.count_nonzero(w) for w in weights.values() if w.ndim == 2) == 14


def test_layers_without_zeros_compute_the_same(cli: Cli, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("architrave.sparsity.execution.formats.GAIN", 0.0)  # whatever the times are
    line = [*BASE.split(), "--density", "0.25"]
    cli(*line, "-o", "few.arch")
    outcome = cli(*line, "-o", "stored.arch", "--execution", "--at", "N=4")
    assert (outcome.code, "execution, timed with numpy" in outcome.out) == (0, True), outcome
    assert "linear_sparse" in (trained / "stored.arch").read_text(encoding="utf-8")
    graphs = [architrave.load(f"{name}.arch") for name in ("few", "stored")]
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    few, stored = (
        architrave.compile(g, "numpy")(architrave.load_weights(f"{name}.safetensors", g), x)
        for g, name in zip(graphs, ("few", "stored"), strict=True)
    )
    assert np.abs(few - stored).max() < 1e-6


def test_masks_may_stay_for_training_on(cli: Cli, trained: Path) -> None:
    cli(*BASE.split(), "--density", "0.25", "-o", "few.arch", "--keep-masks")
    line = "train few.arch --from few.safetensors --data points.npz --batch 4 -b numpy --weights on.safetensors"
    assert cli(*line.split()).code == 0
    before, after = (architrave.load_weights(name) for name in ("few.safetensors", "on.safetensors"))
    for path in ("hidden.weight", "head.weight"):
        mask = before[f"{path}_mask"]
        assert np.array_equal(mask, after[f"{path}_mask"])
        assert not after[path][~mask].any()
        assert not np.array_equal(before[path], after[path])


@pytest.mark.parametrize(
    "option", ["end=1", "end=0.1", "every=1", "method=random", "method=snip", "method=set", "method=rigl"]
)
def test_training_comes_to_the_share_that_is_asked_for(cli: Cli, trained: Path, option: str) -> None:
    outcome = cli(*TRAIN.split(), "--sparsity", "0.75", "--sparsity-option", option)
    assert outcome.code == 0, outcome
    weights = architrave.load_weights("new.safetensors", architrave.load("net.arch"))
    assert sum(np.count_nonzero(w) for w in weights.values() if w.ndim == 2) <= 14
