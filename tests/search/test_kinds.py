"""Supernets of every kind through one face: they learn, stop and go on, are written and read, and give members."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.models import find, find_in_text
from architrave.search.space.costs import Costs
from architrave.search.supernet import checkpoint
from architrave.search.supernet.judge import Judge
from architrave.search.supernet.kinds import KINDS, sharing
from architrave.search.supernet.together import Plan, Together
from architrave.train import AdamW, Dataset, Evaluation, Folder, Loop, Objective, Recipe, Schedule, run
from architrave.train.paths import PathTrainer
from architrave.weights import read, read_metadata, save

ALTERNATIVES = """
from std.linear import linear
from std.norm import batch_norm

block twice()(x: [N, C]) -> [N, C] = x -> choice first { linear: linear(C), none: identity } -> relu -> linear(C)

model Few()(x: [N, 4]) -> [N, 3] {
    x = x -> stem: linear(8) -> norm: batch_norm
    x = x -> choice op { linear: linear(8), twice: twice, skip: identity }
    return x -> choice act { relu: relu, tanh: tanh } -> head: linear(3)
}
"""
NUMBERS = """
from std.linear import linear
from std.norm import batch_norm

model Few()(x: [N, 4]) -> [N, 3] {
    width = choice width { few: 4, many: 8 }
    depth = choice depth { none: 0, one: 1 }
    x = x -> stem: linear(width) -> norm: batch_norm -> choice act { relu: relu, tanh: tanh }
    for i in 0..depth {
        x = x -> layer[i]: linear(width) -> relu
    }
    return x -> head: linear(3)
}
"""
TEXTS = {**dict.fromkeys(KINDS, ALTERNATIVES), "slices": NUMBERS}
OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("paths", {}),
    ("paths", {"draw": "fair"}),
    ("paths", {"draw": "importance"}),
    ("several", {"most": 3}),
    ("mixture", {"rate": 0.1}),
    ("slices", {"others": 1}),
    ("slices", {"draw": "sampled"}),
)
RNG: Any = np.random.default_rng(0)
INPUTS = RNG.normal(size=(96, 4)).astype(np.float32)
DATA = Dataset((INPUTS,), (INPUTS[:, 0] > 0).astype(np.int64) + (INPUTS[:, 1] > 0))
EPOCHS, BATCH = 2, 16
LOSS = Objective("cross_entropy")


def model(text: str) -> Costs:
    return Costs(find_in_text(text), {}, {"N": 1})


def learner(kind: str, options: dict[str, Any]) -> tuple[Together, Dataset]:
    supernet = sharing(kind, model(TEXTS[kind]), options)
    mine, other = supernet.divided(DATA)
    schedule = Schedule(0.02, EPOCHS * mine.steps(BATCH))
    # Of kinds that have both, some learn by programs of members, and some by one.
    programs = 0 if len(options) == 1 else 64
    return supernet.learner(Plan(Recipe(AdamW(), LOSS), schedule, mine, other, seed=1, programs=programs)), mine


@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=lambda value: str(value))
def test_a_run_that_is_cut_off_goes_on(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    whole, data = learner(kind, options)
    wanted = run(whole, data, Loop(EPOCHS, BATCH, DATA))
    folder = Folder(tmp_path)
    first, _ = learner(kind, options)

    def stop(trainer: Any, batch: Any) -> None:
        if trainer.steps == data.steps(BATCH) + 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(first, data, Loop(EPOCHS, BATCH, DATA, checkpoints=folder, every=1, refresh=(stop,)))
    again, _ = learner(kind, options)
    found = run(again, data, Loop(EPOCHS, BATCH, DATA, checkpoints=folder, every=1), resume=True)
    assert [row["val_loss"] for row in found.history] == [row["val_loss"] for row in wanted.history]
    assert wanted.history[-1]["val_loss"] < wanted.history[0]["val_loss"]
    for path, array in wanted.weights.items():
        np.testing.assert_array_equal(found.weights[path], array)


@pytest.mark.parametrize(("kind", "options"), OPTIONS, ids=lambda value: str(value))
def test_members_of_a_file_are_networks_of_their_own(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    trained, data = learner(kind, options)
    weights = run(trained, data, Loop(1, BATCH)).weights
    path = tmp_path / "supernet.safetensors"
    text = TEXTS[kind]
    checkpoint.write(path, sharing(kind, model(text), options), weights, {"model": "Few"})
    supernet, held = checkpoint.load(path, model(text))
    assert supernet.options() == {**sharing(kind, model(text), {}).options(), **options}
    judge = Judge(supernet, held, DATA, "numpy")
    for _ in range(3):
        member = supernet.costs.space.sample(RNG)
        child = judge.child(member)
        child.save(tmp_path / "member.arch")
        network = find(str(tmp_path / "member.arch")).elaborate({}).graph
        own = architrave.load_weights(tmp_path / "member.safetensors", network)
        alone = Evaluation(network, LOSS, DATA.target_type(network), "numpy").run(own, DATA)
        assert judge.judged(child, DATA, LOSS) == pytest.approx(alone)
        assert supernet.costs.of(member)["params"] == sum(
            own[path].size for path in own if not path.endswith(("running_mean", "running_var"))
        )


@pytest.mark.parametrize("kind", ["paths", "several"])
def test_what_learns_keeps_the_constraints(kind: str) -> None:
    """Of `linear` and `twice` at most one smaller one."""
    text = ALTERNATIVES.replace("x = x -> stem", "constraint params <= 160\n    x = x -> stem")
    supernet = sharing(kind, model(text), {})
    trained = supernet.learner(Plan(Recipe(AdamW(), LOSS), Schedule(0.1, 9), DATA, DATA)).trainer
    assert isinstance(trained, PathTrainer)
    members = [supernet.costs.space.decided(trained.draw(step)) for step in range(30)]
    assert all(member in supernet.feasible for member in members)
    assert {supernet.costs.of(member)["params"] <= 160 for member in supernet.costs.space} == {True, False}
    assert len({tuple(member.items()) for member in members}) > 2


def test_a_mixture_prefers_a_member() -> None:
    trained, data = learner("mixture", {"rate": 0.1})
    weights = run(trained, data, Loop(EPOCHS, BATCH)).weights
    supernet = sharing("mixture", model(ALTERNATIVES), {})
    preferred = supernet.preferred(weights)
    assert preferred in supernet.costs.space
    assert sharing("paths", model(ALTERNATIVES), {}).preferred(weights) is None


@pytest.mark.parametrize(
    ("kind", "text", "options", "code"),
    [
        ("path", ALTERNATIVES, {}, "E972"),
        ("paths", ALTERNATIVES, {"most": 2}, "E972"),
        ("paths", ALTERNATIVES, {"draw": "sandwich"}, "E972"),
        ("paths", ALTERNATIVES, {"draw": 3}, "E972"),
        ("several", ALTERNATIVES, {"most": 0}, "E972"),
        ("several", ALTERNATIVES, {"most": 1.5}, "E972"),
        ("several", ALTERNATIVES, {"most": True}, "E972"),
        ("several", ALTERNATIVES, {"most": [2]}, "E972"),
        ("slices", NUMBERS, {"others": 10**9}, "E972"),
        ("mixture", ALTERNATIVES, {"rate": float("nan")}, "E972"),
        ("paths", NUMBERS, {}, "E973"),
        ("slices", "model Few()(x: [N, 4]) -> [N, 4] = x", {}, "E973"),
    ],
)
def test_what_is_no_supernet_is_refused(kind: str, text: str, options: dict[str, Any], code: str) -> None:
    with pytest.raises(ArchitraveError) as caught:
        _ = sharing(kind, model(text), options).graph
    assert caught.value.diagnostics[0].code == code


def test_slices_learn_from_targets() -> None:
    supernet = sharing("slices", model(NUMBERS), {})
    data = replace(DATA, target=None)
    with pytest.raises(ArchitraveError, match="E973"):
        supernet.learner(Plan(Recipe(AdamW(), Objective()), Schedule(0.1, 3), data, data))


def header(**changed: Any) -> dict[str, Any]:
    supernet = sharing("several", model(ALTERNATIVES), {})
    found = {"format": 1, "kind": "several", "options": supernet.options(), **checkpoint.marks(supernet.model)}
    return {**found, **changed}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "E970"),
        ("", "E970"),
        ("[]", "E970"),
        ("[" * 100_000, "E970"),
        (json.dumps(header(format=2)), "E970"),
        (json.dumps(header(options=[])), "E970"),
        (json.dumps(header(kind="none")), "E972"),
        (json.dumps(header(options={"most": 10**6})), "E972"),
        (json.dumps(header(options={"most": 3})), "E500"),
        (json.dumps(header(kind="paths", options={})), "E500"),
        (json.dumps(header(space="0")), "E971"),
        (json.dumps(header(network="0")), "E971"),
        (json.dumps(header()), None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_hostile_files(text: str | None, code: str | None, tmp_path: Path) -> None:
    path = tmp_path / "supernet.safetensors"
    weights = architrave.init(sharing("several", model(ALTERNATIVES), {}).graph)
    save(path, weights, {} if text is None else {checkpoint.KEY: text})
    if code is None:
        checkpoint.load(path, model(ALTERNATIVES))
        return
    with pytest.raises(ArchitraveError) as caught:
        checkpoint.load(path, model(ALTERNATIVES))
    assert caught.value.diagnostics[0].code == code


def test_files_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "supernet.safetensors"
    supernet = sharing("paths", model(ALTERNATIVES), {})
    weights = architrave.init(supernet.graph)
    checkpoint.write(path, supernet, weights, {})
    whole, about = path.read_bytes(), read_metadata(path)
    fewer = {name: w for name, w in read(path).items() if name != "head.bias"}
    save(path, fewer, about)
    with pytest.raises(ArchitraveError, match=r"E502.*head\.bias") as caught:
        checkpoint.load(path, model(ALTERNATIVES))
    assert caught.value.diagnostics[0].code == "E500"
    path.write_bytes(whole[:-40])
    with pytest.raises(ArchitraveError, match="E501"):
        checkpoint.load(path, model(ALTERNATIVES))
    path.unlink()
    with pytest.raises(ArchitraveError, match="E501"):
        checkpoint.digest(path)
