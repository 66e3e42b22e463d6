"""`architrave supernet`, and searches by what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import architrave
from architrave.search.supernet.checkpoint import digest
from architrave.weights import read_metadata
from tests.cli.conftest import Cli

pytest.importorskip("optuna", reason="optuna is not installed")

ACT = """from std.linear import linear
from std.norm import batch_norm

model Act()(x: [N, 4]) -> [N, 3] {
    x = x -> hidden: linear(8) -> norm: batch_norm
    return x -> choice act { relu: relu, tanh: tanh, none: identity } -> head: linear(3)
}
"""
BASE = "--data points.npz -b numpy --batch 8 --epochs 2"
SEARCH = "search act.arch --data points.npz -b numpy --supernet s.safetensors --strategy grid"


@pytest.fixture(autouse=True)
def space(folder: Path) -> Path:
    (folder / "act.arch").write_text(ACT, encoding="utf-8")
    return folder


def trained(cli: Cli, line: str = "act.arch", output: str = "s.safetensors") -> None:
    outcome = cli("supernet", "train", *line.split(), *BASE.split(), "-o", output)
    assert outcome.code == 0, outcome


def test_two_commands_find_a_network(cli: Cli) -> None:
    trained(cli)
    found = cli(*f"{SEARCH} --objective accuracy --objective loss -o best.arch --json".split()).json()
    assert [trial["failure"] for trial in found["trials"]] == [None] * 3
    network = architrave.load("best.arch")
    weights = architrave.load_weights("best.safetensors", network)
    wanted = next(one for one in found["trials"] if one["trial"] == found["front"][0])
    _, held = architrave.train.open_data("points.npz", network)
    assert held is not None
    scores = architrave.compile(network, "numpy")(weights, held.inputs[0])
    assert np.mean(scores.argmax(-1) == held.target) == pytest.approx(wanted["values"]["accuracy"])
    decided = " ".join(f"--decide {path}={label}" for path, label in wanted["member"].items())
    cut = cli(*f"supernet cut act.arch s.safetensors --data points.npz -b numpy -o b.arch {decided}".split())
    assert cut.code == 0
    assert Path("b.arch").read_bytes() == Path("best.arch").read_bytes()
    again = architrave.load_weights("b.safetensors", network)
    assert all(np.array_equal(again[path], w) for path, w in weights.items())


@pytest.mark.parametrize(
    "line", [f"{SEARCH} --objective loss", "supernet cut act.arch s.safetensors --data points.npz -o b.arch"]
)
def test_members_are_not_judged_by_what_their_supernet_learned_from(cli: Cli, line: str) -> None:
    trained(cli)
    refused = cli(*line.split(), "--held-out", "0.5")
    assert refused.code == 2
    assert "error[E971]: s.safetensors learned with --held-out 0.2, and not 0.5" in refused.err
    assert not Path("b.arch").exists()


def test_another_supernet_is_another_search(cli: Cli) -> None:
    trained(cli)
    line = f"{SEARCH} --storage sqlite:///found.db"
    assert cli(*line.split()).code == 0
    assert cli(*line.split()).code == 0, "the same goes on"
    trained(cli, "act.arch --seed 1")
    outcome = cli(*line.split())
    assert (outcome.code, "error[E965]" in outcome.err, "supernet was" in outcome.err) == (2, True, True)
    outcome = cli(*line.replace("--supernet s.safetensors", "").split())
    assert (outcome.code, "error[E965]" in outcome.err) == (2, True)


@pytest.mark.parametrize("kind", ["several", "mixture"])
def test_members_of_other_kinds_are_searched(cli: Cli, kind: str) -> None:
    trained(cli, f"act.arch --kind {kind}")
    outcome = cli(*f"{SEARCH} --objective accuracy --objective macs --json".split())
    found = outcome.json()
    assert len(found["trials"]) == found["members"] == {"several": 6, "mixture": 3}[kind]
    assert all(trial["failure"] is None for trial in found["trials"])


def test_a_mixture_gives_what_weighs_most(cli: Cli) -> None:
    trained(cli, "act.arch --kind mixture -K rate=0.3")
    preferred = cli(*f"supernet train act.arch --kind mixture -K rate=0.3 {BASE} -o t.safetensors --json".split())
    member = cli("supernet", "cut", "act.arch", "s.safetensors", "-o", "best.arch", "--json").json()["member"]
    assert member == preferred.json()["preferred"]
    assert json.loads(read_metadata("best.safetensors")["decisions"]) == member
    assert json.loads(read_metadata("s.safetensors")["architrave.supernet"])["options"] == {"rate": 0.3}


def test_what_suits_the_choices_is_the_default(cli: Cli) -> None:
    """Slices where they are of numbers."""
    for model, kind in (("act", "paths"), ("few", "slices")):
        outcome = cli(*f"supernet train {model}.arch {BASE} -o s.safetensors --json".split())
        assert outcome.json()["kind"] == kind


def test_training_goes_on(cli: Cli) -> None:
    trained(cli, "act.arch --checkpoints run", "a.safetensors")
    assert cli(*f"supernet train act.arch {BASE} --checkpoints run -o b.safetensors".split()).code == 2
    again = cli(*f"supernet train act.arch {BASE} --checkpoints run --resume -o b.safetensors".split())
    assert again.code == 0
    assert digest("a.safetensors") == digest("b.safetensors")


TRAIN = f"supernet train act.arch {BASE} -o new.safetensors"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            f"supernet train few.arch --kind paths {BASE} -o new.safetensors",
            "error[E973]: `width` of `Few` chooses a number",
        ),
        (f"supernet train net.arch {BASE} -o new.safetensors", "error[E973]: `Net` has no choices"),
        (f"{TRAIN} --kind slice", "is not one of"),
        (f"{TRAIN} --draw sandwich", "error[E972]"),
        (f"{TRAIN} -K most=2", "error[E972]"),
        (f"{TRAIN} -K most", "not of the form NAME=VALUE"),
        (f"{TRAIN} --draw importance --loss mse", "error[E973]"),
        (f"{TRAIN} --decide act=relu", "give it to `supernet cut`"),
        (f"supernet train act.arch {BASE} -o act.arch", "error[E705]"),
        (f"supernet train act.arch {BASE} -o nowhere/new.safetensors", "error[E520]"),
        ("supernet train act.arch --data none.npz -o new.safetensors", "error[E561]"),
        ("supernet cut act.arch s.safetensors -o best.txt", "must end in `.arch`"),
        ("supernet cut act.arch s.safetensors -o act.arch", "error[E705]"),
        ("supernet cut act.arch s.safetensors -o s.arch", "error[E705]"),
        ("supernet cut act.arch s.safetensors --decide act=relo -o best.arch", "did you mean `relu`?"),
        ("supernet cut few.arch s.safetensors -o best.arch", "error[E971]"),
        ("supernet cut act.arch letters.safetensors -o best.arch", "error[E970]"),
        ("supernet cut act.arch points.npz -o best.arch", "error[E501]"),
        (f"{SEARCH} --supernet letters.safetensors", "error[E970]"),
        (f"{SEARCH} --supernet missing.safetensors", "error[E501]"),
        (f"{SEARCH} --pruner asha", "error[E966]"),
        ("search act.arch -b numpy --supernet s.safetensors --objective params -o best.arch", "error[E968]"),
        (f"{SEARCH.replace('act.arch', 'few.arch')}", "error[E971]"),
        (f"{SEARCH} -o s.arch", "error[E705]"),
    ],
)
def test_bad_input(cli: Cli, folder: Path, line: str, said: str) -> None:
    if "s.safetensors" in line:
        trained(cli)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    outcome = cli(*line.split())
    assert (outcome.code, said in outcome.err) == (2, True), outcome
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
