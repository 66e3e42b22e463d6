"""The commands of passes: what they show, what they write, and what they refuse."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import architrave
from architrave.passes.pipeline import RECIPES
from architrave.weights import read_metadata
from tests.cli.conftest import Cli

STAGES = '''"""Two stages."""
from std import batch_norm, conv2d, linear

block Stage(width: int)(x: [N, C, H, W]) -> [N, width, H, W] {
    """A convolution with batch normalization."""
    return x -> conv: conv2d(width, 3) -> bn: batch_norm -> relu
}

model Stages(classes: int = 5)(x: [N, 3, 6, 6]) -> [N, classes] {
    return x -> stem: Stage(4) -> body: Stage(4) -> op.mean(axes = [2, 3]) -> head: linear(classes)
}
'''


@pytest.fixture
def stages(cli: Cli, folder: Path) -> Path:
    """A folder with stages.arch, whose weights and statistics are random; plain.arch is without normalization."""
    (folder / "stages.arch").write_text(STAGES, encoding="utf-8")
    (folder / "plain.arch").write_text(STAGES.replace("-> bn: batch_norm ", ""), encoding="utf-8")
    graph = architrave.load("stages.arch")
    rng = np.random.default_rng(0)
    weights = {k: rng.uniform(0.5, 1.5, w.shape).astype(w.dtype) for k, w in architrave.init(graph).items()}
    architrave.save_weights("stages.safetensors", weights)
    return folder


OUTCOMES = [
    # passes
    ("passes", 0, "reparam"),
    ("passes", 0, RECIPES["deploy"]),
    ("passes reparam", 0, "grow=false  (true | false)"),
    ("passes reparam", 0, "put `inference` before it"),
    ("passes inference", 0, "exact: the same function in real arithmetic"),
    ("passes deploy", 0, f"stands for `{RECIPES['deploy']}`"),
    ("passes reparm", 2, "did you mean `reparam`?"),
    ("passes deplo", 2, "did you mean `deploy`?"),
    # apply
    ("apply stages.arch --passes deploy", 0, "exact: the same function"),
    ("apply stages.arch --passes deploy", 0, "301      285"),
    ("apply stages.arch --passes deploy --at N=2", 0, "multiply-adds"),
    ("apply stages.arch --passes deploy --at M=2", 2, "it has N"),
    ("apply stages.arch --passes deploy --trace", 0, "merge-row, 2 times"),
    ("apply stages.arch --passes deploy --trace", 0, "at stem.conv, stages.arch:6, std/conv.arch"),
    ("apply stages.arch --passes clean --explain", 0, "nothing was declined"),
    ("apply stages.arch --passes deploy --set classes=7", 0, "parameters"),
    ("apply stages.arch", 2, "Missing option '--passes'"),
    ("apply missing.arch --passes deploy", 2, "there is no file missing.arch"),
    ("apply stages.arch --passes reparam", 2, "error[E804]"),
    ("apply stages.arch --passes reparam", 2, "state running_mean"),
    ("apply stages.arch --passes inference,reparam{only=stme.*}", 0, "warning[E806]: `stme.*` matches nothing"),
    ("apply stages.arch --passes inference,reparam{only=stme.*}", 0, "did you mean `stem`?"),
    ("apply stages.arch --passes deploi", 2, "did you mean `deploy`?"),
    ("apply stages.arch --passes deploy -o out.txt", 2, "must end in `.arch`"),
    ("apply stages.arch --passes deploy -o nowhere/out.arch", 2, "cannot write nowhere/out.arch"),
    ("apply stages.arch --passes deploy -o stages.arch", 2, "error[E705]"),
    ("apply stages.arch --passes deploy -o ./link.arch", 2, "error[E705]"),
    ("apply stages.arch --passes deploy --weights-out b.safetensors", 2, "needs --weights"),
    ("apply stages.arch --passes deploy --weights stages.safetensors", 2, "needs --output or --weights-out"),
    ("apply stages.arch --passes deploy --weights stages.safetensors -o -", 2, "needs --output or --weights-out"),
    ("apply stages.arch --passes deploy --weights missing.safetensors -o out.arch", 2, "cannot read missing"),
    ("apply stages.arch --passes deploy --weights letters.safetensors -o out.arch", 2, "does not fit `Stages`"),
    # equal
    ("equal stages.arch stages.arch", 0, "equal; the worst difference in 3 runs is 0.0e+00 of the range"),
    ("equal stages.arch --passes deploy --seeds 1", 0, "Stages and Stages after deploy in inference: equal"),
    ("equal stages.arch --passes deploy --size N=1", 0, "equal"),
    ("equal stages.arch --passes deploy --size M=1", 2, "no symbolic size `M`"),
    ("equal stages.arch --passes deploy --train", 1, "only one of them updates `body.bn.running_mean`"),
    ("equal stages.arch --passes reparam", 2, "error[E804]"),
    ("equal stages.arch stages.arch --set classes=4", 1, "gives [N, 4], Stages of stages.arch gives [N, 5]"),
    ("equal stages.arch net.arch", 1, "Stages takes [N, 3, 6, 6], Net takes [N, 4]"),
    ("equal stages.arch plain.arch", 2, "error[E808]"),
    ("equal stages.arch plain.arch", 2, "only Stages has `stem.bn.weight`"),
    ("equal stages.arch", 2, "name a second network, or give the --passes"),
    ("equal stages.arch net.arch --passes clean", 2, "name a second network, or give the --passes"),
    ("equal stages.arch stages.arch --weights-b stages.safetensors", 2, "--weights-b needs --weights"),
    ("equal stages.arch --passes clean --weights a --weights-b b", 2, "are computed from those of A"),
    ("equal stages.arch stages.arch --seeds 0", 2, "0 is not in the range"),
]


@pytest.mark.parametrize(("line", "code", "said"), OUTCOMES, ids=[f"{line} {said}"[:70] for line, _, said in OUTCOMES])
def test_outcome(cli: Cli, stages: Path, line: str, code: int, said: str) -> None:
    (stages / "link.arch").symlink_to(stages / "stages.arch")
    before = {path.name: path.read_bytes() for path in stages.iterdir()}
    outcome = cli(*line.split())
    assert (outcome.code, said in outcome.out + outcome.err) == (code, True), outcome
    assert "Traceback" not in outcome.err
    assert {path.name: path.read_bytes() for path in stages.iterdir()} == before


def test_the_new_network_and_its_weights(cli: Cli, stages: Path) -> None:
    line = "apply stages.arch --passes deploy --output new.arch --weights stages.safetensors"
    outcome = cli(*line.split())
    assert outcome.code == 0, outcome
    assert "wrote new.arch\nwrote new.safetensors\n" in outcome.err
    text = (stages / "new.arch").read_text(encoding="utf-8")
    assert "block Stage" in text
    assert '"""A convolution with batch normalization."""' in text
    assert "batch_norm" not in text
    assert cli("check", "new.arch").code == 0
    assert cli("fmt", "--check", "new.arch").code == 0
    assert cli("weights", "inspect", "new.safetensors", "new.arch").code == 0
    assert read_metadata("new.safetensors")["passes"].startswith("inference,")
    line = "equal stages.arch new.arch --weights stages.safetensors --weights-b new.safetensors"
    outcome = cli(*line.split())
    assert outcome.code == 0, outcome
    assert "equal" in outcome.out


def test_where_two_networks_part(cli: Cli, stages: Path) -> None:
    (stages / "other.arch").write_text(STAGES.replace("body: Stage(4)", "body: Stage(4) -> op.multiply(1.5)"), "utf-8")
    outcome = cli("equal", "stages.arch", "other.arch")
    assert outcome.code == 1
    assert outcome.out.splitlines()[0] == "Stages and Stages of other.arch in inference: DIFFERENT"
    assert "they part in `Stages`" in outcome.out
    assert "other.arch:10" in outcome.out
    found = cli("equal", "stages.arch", "other.arch", "--json").json()
    assert (found["ok"], found["parting"]["b"]["span"].split(":")[0]) == (False, "other.arch")


def test_metadata_of_the_old_weights_stays(cli: Cli, folder: Path) -> None:
    line = "apply letters.arch --passes clean --weights letters.safetensors --weights-out new.safetensors"
    assert cli(*line.split()).code == 0
    assert read_metadata("new.safetensors")["labels"] == '["a", "b", "c"]'


def test_output_to_a_pipe_is_the_network_alone(cli: Cli, stages: Path) -> None:
    outcome = cli("apply", "stages.arch", "--passes", "deploy", "--output", "-", "--explain")
    assert outcome.code == 0
    assert architrave.loads(outcome.out).name == "Stages"
    assert "nothing was declined" in outcome.err
    found = cli("apply", "stages.arch", "--passes", "deploy", "--output", "-", "--json").json()
    assert architrave.loads(found["source"]) == architrave.loads(outcome.out)


def test_declined_rules_are_explained(cli: Cli, stages: Path) -> None:
    """A bias in front of zeros that are put around is not a bias behind them."""
    text = """from std import conv2d
    model Border()(x: [N, 2, 6, 6]) -> [N, 4, 6, 6] = x -> a: conv2d(3, 1) -> b: conv2d(4, 3)
    """
    (stages / "border.arch").write_text(text, encoding="utf-8")
    outcome = cli("apply", "border.arch", "--passes", "inference,reparam", "--explain")
    assert outcome.code == 0
    assert "conv at b, border.arch:2, std/conv.arch" in outcome.out
    (declined, *_) = cli("apply", "border.arch", "--passes", "inference,reparam", "--json").json()["declined"]
    assert (declined["pass"], declined["op"], declined["place"]) == ("reparam", "conv", "b")
    assert declined["reason"] in outcome.out


NAN = "apply stages.arch --passes deploy --weights nan.safetensors -o out.arch"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (NAN, "error[E807]: `stem.bn.weight` holds what is not a number"),
        ("equal stages.arch --passes deploy --weights nan.safetensors", "not a number (NaN)"),
        ("apply stages.arch --passes deploy --weights below.safetensors -o out.arch", "a variance below zero"),
        (
            "apply stages.arch --passes clean --weights stages.safetensors -o a.arch --weights-out stages.safetensors",
            "E705",
        ),
        ("apply stages.arch --passes clean --weights stages.safetensors -o a.arch --weights-out a.arch", "E705"),
        (
            "apply stages.arch --passes clean --weights stages.safetensors -o a.arch --weights-out no/b",
            "cannot write no/b",
        ),
        (
            "apply stages.arch --passes clean --weights stages.safetensors -o a.arch --weights-out made",
            "cannot write made",
        ),
        (
            "apply stages.arch --passes clean --weights stages.safetensors -o old.arch --weights-out made",
            "cannot write made",
        ),
        ("apply stages.arch --passes clean --weights stages.safetensors -o made.arch", "cannot write made.arch"),
    ],
)
def test_nothing_is_written_where_anything_fails(cli: Cli, stages: Path, line: str, said: str) -> None:
    weights = architrave.load_weights("stages.safetensors")
    for name, path, factor in (("nan", "stem.bn.weight", np.nan), ("below", "body.bn.running_var", -1)):
        architrave.save_weights(f"{name}.safetensors", {**weights, path: weights[path] * np.float32(factor)})
    for name in ("made", "made.arch"):
        (stages / name).mkdir()
    (stages / "old.arch").write_text("mine", encoding="utf-8")
    before = {path: path.read_bytes() for path in stages.rglob("*") if path.is_file()}
    outcome = cli(*line.split())
    assert (outcome.code, said in outcome.err) == (2, True), outcome
    assert {path: path.read_bytes() for path in stages.rglob("*") if path.is_file()} == before
    assert not any(name.startswith(".") for name in os.listdir(stages))
