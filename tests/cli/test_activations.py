"""`architrave activations`: what is 0, what more may be, and that bad input leaves no file behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import architrave
from tests.cli.conftest import Cli

BASE = "activations net.arch --weights net.safetensors --data points.npz -b numpy"


@pytest.fixture
def trained(cli: Cli, folder: Path) -> Path:
    """The folder with a checkpoint."""
    cli("weights", "init", "net.arch", "--output", "net.safetensors")
    (folder / "still.arch").write_text("model Still()(x: [N, 4]) -> [N, 4] = tanh(x)\n", encoding="utf-8")
    architrave.save_weights("still.safetensors", {})
    return folder


def test_what_is_zero_is_counted(cli: Cli, trained: Path) -> None:
    found = cli(*BASE.split(), "--json").json()
    (relu,) = found["activations"]
    assert relu["operator"] == "relu"
    assert 0 < relu["share"] <= relu["most"] <= 1
    assert found["macs"] == 4 * 8 + 8 * 3
    assert found["macs_left"] == pytest.approx(4 * 8 + 8 * 3 * relu["share"], abs=1)


def test_a_network_with_sparse_inputs_is_written(cli: Cli, trained: Path) -> None:
    outcome = cli(*BASE.split(), *["--zero", "0.5", "-o", "few.arch"])
    assert outcome.code == 0, outcome
    assert "accuracy: " in outcome.out
    graph = architrave.load("few.arch")
    weights = architrave.load_weights("few.safetensors", graph)
    assert sum(node.op.name == "active_rows" for node in graph.nodes) == 2
    x = np.load("points.npz")["x"][:4]
    assert np.isfinite(architrave.compile(graph, backend="numpy")(weights, x)).all()


def test_shares_are_given_by_layer(cli: Cli, trained: Path) -> None:
    found = cli(*BASE.split(), *["--zero", "head=0.75"], "--json").json()
    places = [a["place"] for a in found["activations"]]
    assert {"hidden", "head"} <= set(places)
    shares = {a["place"]: a["share"] for a in found["activations"] if a["operator"] == "where"}
    assert shares["head"] == pytest.approx(0.25, abs=0.01)
    assert shares["hidden"] > 0.99


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{BASE} --zero 1.5", "error[E943]"),
        (f"{BASE} --zero lots", "it takes a number, or a selector and a number"),
        (f"{BASE} --zero 0.5 --only nothing", "error[E943]"),
        (f"{BASE} --zero op:nothing=0.5", "error[E805]"),
        (f"{BASE} -o few.arch", "without --zero there is no new network to write"),
        (f"{BASE} --zero 0.5 -o net.arch", "error[E705]"),
        (BASE.replace("net.", "still.").replace("points.npz", "points.npz"), "error[E942]"),
    ],
)
def test_what_cannot_be_is_refused(cli: Cli, trained: Path, line: str, said: str) -> None:
    before = sorted(trained.iterdir())
    outcome = cli(*line.split())
    assert outcome.code != 0
    assert said in outcome.err
    assert sorted(trained.iterdir()) == before
