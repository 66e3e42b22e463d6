"""The comparison of steps: it agrees where the backends do, and tells what differs where they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.backends.load import Program
from architrave.ir.interpret import Result
from architrave.ir.source import ArchitraveError
from architrave.train import AdamW, Objective, Recipe
from architrave.train.compare import compare_steps
from tests.stdlib.small import SMALL
from tests.train.networks import BACKENDS, CONVNET, MLP, mlp_data, network

QUICK = ("DLRM", "LSTMTagger")
"""Standard networks whose comparison takes seconds."""

RECURRENT = """
from std.recurrent import lstm
from std.linear import linear

model Recurrent()(x: [N, 5, 3]) -> [N, 2] {
    (y, last) = x -> l: lstm(4)
    return y[:, -1] -> h: linear(2)
}
"""


@pytest.mark.parametrize("source", [CONVNET, MLP, RECURRENT], ids=["convnet", "mlp", "recurrent"])
def test_backends_agree_after_each_step(source: str) -> None:
    report = compare_steps(network(source), steps=3)
    assert report.ok, str(report)
    assert report.missing(BACKENDS) == []
    paths = {w.op.path for w in network(source).weights}  # type: ignore[attr-defined]  # params and states
    for kind in ("output", "gradient", "weight"):
        assert {c.left for c in report.comparisons if c.kind == kind} == set(BACKENDS)
    told = {c.name.removesuffix(" after step 3") for c in report.comparisons}
    assert told >= {
        "loss",
        *paths,
        "optimizer.count",
        *(f"optimizer.velocity.{p}" for p in paths if "running" not in p),
    }


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SMALL],
)
def test_standard_networks_train_alike(name: str) -> None:
    report = compare_steps(architrave.load(name, **SMALL[name]), steps=2)
    assert report.ok, str(report)


def test_a_loss_by_name_and_another_optimizer() -> None:
    graph = network(MLP)
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1)
    report = compare_steps(graph, recipe, mlp_data().target_type(graph), steps=2, sizes={"N": 6}, oracle=False)
    assert report.ok, str(report)
    assert report.sizes == {"N": 6}
    assert {(c.left, c.right) for c in report.comparisons} == {("torch", "numpy"), ("jax", "numpy")}


def test_one_wrong_number_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Program.run

    def wrong(self: Program, weights: Mapping[str, Any], *inputs: Any, **options: Any) -> Result:
        result = run(self, weights, *inputs, **options)
        if options["key"][1] != 1:
            return result
        bias = result.updates["a.bias"] + np.eye(16)[3] * 1e-6
        return Result(result.outputs, {**result.updates, "a.bias": bias})

    monkeypatch.setattr(Program, "run", wrong)
    report = compare_steps(network(MLP), steps=3, backends=["numpy"])
    assert [(c.kind, c.name, c.left) for c in report.failures] == [("weight", "a.bias after step 2", "numpy")]


def test_what_gives_no_floats_is_an_error() -> None:
    graph = architrave.loads("model M()(x: [N, 4]) -> i64[N] { param w: [4] = ones\n return argmax(x * w, axis = 1) }")
    with pytest.raises(ArchitraveError, match="E543"):
        compare_steps(graph)
