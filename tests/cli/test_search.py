"""`architrave search`: what it says and writes; bad input leaves no file behind."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import architrave
from tests.cli.conftest import Cli

pytest.importorskip("optuna", reason="optuna is not installed")

BASE = "search few.arch -b numpy --batch 8 --epochs 1 --trials 6"


def test_what_is_said(cli: Cli) -> None:
    outcome = cli(*f"{BASE} --objective params --objective synflow --strategy grid".split())
    assert outcome.code == 0, outcome
    first, header, best, *_ = outcome.out.splitlines()
    assert first == "Few: 6 trials of 6 members"
    assert header.split() == ["trial", "params", "synflow", "decisions"]
    assert best.split()[:2] == ["0", "35"]
    assert "width=few" in best


def test_what_is_written(cli: Cli) -> None:
    files = "-o best.arch --front all --report page.html"
    given = f"{BASE} --trials 4 --data points.npz --objective accuracy --objective macs {files}"
    outcome = cli(*given.split(), "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = outcome.json()
    front = found["front"]
    names = [f"all/trial-{slot}.{kind}" for slot in front for kind in ("arch", "safetensors")]
    assert found["files"] == ["best.arch", "best.safetensors", "page.html", *names]
    network = architrave.load("best.arch")
    weights = architrave.load_weights("best.safetensors", network)
    assert "choice" not in Path("best.arch").read_text(encoding="utf-8")
    assert Path("best.arch").read_bytes() == Path(f"all/trial-{front[0]}.arch").read_bytes()
    wanted = next(one for one in found["trials"] if one["trial"] == front[0])
    _, held = architrave.train.open_data("points.npz", network)
    assert held is not None
    scores = architrave.compile(network, "numpy")(weights, held.inputs[0])
    assert np.mean(scores.argmax(-1) == held.target) == pytest.approx(wanted["values"]["accuracy"])
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 2
    assert "hidden: linear(" in page
    assert not re.findall(r'(?:src|href)="http', page.replace("xlink:href", ""))


def test_a_search_goes_on(cli: Cli) -> None:
    for trials, done in ((3, 3), (6, 6), (6, 6)):
        given = f"{BASE} --objective params --storage sqlite:///found.db --trials {trials} --json"
        assert len(cli(*given.split()).json()["trials"]) == done


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "error[E968]"),
        ("--objective speed", "error[E964]"),
        ("--objective accurcy", "did you mean `accuracy`?"),
        ("--objective params --strategy luck", "error[E966]"),
        ("--objective params --strategy-option populaton=3", "did you mean `population`?"),
        ("--objective params --strategy-option population", "not of the form NAME=VALUE"),
        ("--objective params --decide width=few", "leaves nothing to search"),
        ("--objective params --storage found.db", "error[E963]"),
        ("--objective params --engine ray", "error[E963]"),
        ("--objective params -o best.txt", "must end in `.arch`"),
        ("--objective params -o few.arch", "error[E705]"),
        ("--objective params -o nowhere/best.arch", "error[E520]"),
        ("--objective params --front nowhere/all", "error[E520]"),
        ("--objective params --at Q=1", "error[E968]"),
        ("--pruner asha --objective params", "error[E966]"),
    ],
)
def test_bad_input(cli: Cli, folder: Path, options: str, said: str) -> None:
    before = {path.name for path in folder.iterdir()}
    outcome = cli(*BASE.split(), *options.split())
    assert (outcome.code, said in outcome.err) == (2, True), outcome
    assert {path.name for path in folder.iterdir()} == before
