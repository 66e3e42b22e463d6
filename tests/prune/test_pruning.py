"""What goes and what stays: budgets are kept exactly, and what is left is the network with zeros at what went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave import ArchitraveError
from architrave.ir.axes.groups import groups
from architrave.ir.cost import multiply_adds, parameters
from architrave.prune import METHODS, Plan, Tuning, prune, pruning, timing
from architrave.prune.plan import By
from architrave.prune.report import facts
from architrave.prune.select import fewest, removals
from architrave.train import Dataset
from tests.prune.networks import distance, examples, weights_of
from tests.stdlib.small import SMALL

NET = """
from std.conv import conv2d
from std.linear import linear
from std.norm import batch_norm

model Net(classes: int = 5)(image: [N, 3, 8, 8]) -> [N, classes] {
    x = image -> conv1: conv2d(12, 3) -> norm1: batch_norm -> relu
    x = x + (x -> conv2: conv2d(12, 3) -> norm2: batch_norm -> relu)
    return x -> conv3: conv2d(16, 3, stride = 2) -> norm3: batch_norm -> relu
        -> flatten -> hidden: linear(20) -> relu -> head: linear(classes)
}
"""
PLAN = Plan(backend="numpy", examples=4, batch=2)


def net() -> tuple[Any, dict[str, Any], Dataset]:
    graph = architrave.loads(NET)
    return graph, weights_of(graph), examples(graph)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("by", ["macs", "parameters"])
def test_every_method(method: str, by: By) -> None:
    graph, weights, data = net()
    found = prune(graph, weights, replace(PLAN, keep=0.5, by=by, method=method), data)
    before, after = found.macs if by == "macs" else found.parameters
    assert after <= 0.5 * before
    assert found.macs == tuple(multiply_adds(g, found.sizes) for g in (graph, found.graph))
    assert found.parameters == tuple(parameters(g) for g in (graph, found.graph))
    assert distance(found, weights) < 1e-10


@pytest.mark.parametrize("method", ["magnitude-l1", "taylor", "activation", "optin"])
def test_heads_and_hidden_units(method: str) -> None:
    graph = architrave.load("ViTS16", **SMALL["ViTS16"])
    weights = weights_of(graph)
    found = prune(graph, weights, replace(PLAN, keep=0.8, method=method), examples(graph))
    assert {part.kind for part in found.parts} == {"heads", "width", "units"}
    assert distance(found, weights) < 1e-10


def test_weights_that_are_made_from_others_are_computed_first() -> None:
    graph = architrave.load("NFResNet50", **SMALL["NFResNet50"])
    found = prune(graph, weights_of(graph), replace(PLAN, keep=0.5))
    assert found.hoisted
    assert not groups(graph).cuttable


def test_a_budget_is_kept_by_as_little_as_can_be() -> None:
    graph, *_ = net()
    found = groups(graph)
    scores = {g: np.arange(g.size, dtype=np.float64) for g in found.cuttable}
    order = removals(scores, replace(PLAN, scope="layer"), "none")
    price = pruning.cost.parameters(found, order.groups)
    steps = fewest(order, price, 0.6, parameters(graph), "parameters")
    assert price(order.sizes(steps)) <= 0.6 * parameters(graph) < price(order.sizes(steps - 1))
    kept = order.kept(steps)
    assert all(units.tolist() == list(range(g.size - len(units), g.size)) for g, units in kept.items())
    shares = [n / g.size for g, n in zip(order.groups, order.sizes(steps), strict=True)]
    assert max(shares) - min(shares) <= 1 / 12


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"scope": "layer"}, {(12, 6), (16, 8), (20, 10)}),
        ({"scope": "layer", "multiple": 4}, {(12, 8), (16, 8), (20, 8)}),
        ({"minimum": 0.5}, {(12, 6), (16, 8), (20, 10)}),
        ({"only": "conv3.*", "keep": 0.9}, {(16, 14)}),
        ({"only": "!conv*", "keep": 0.9}, {(20, 18)}),
        ({"keep": 1.0}, {(12, 12), (16, 16), (20, 20)}),
    ],
)
def test_what_a_plan_leaves(options: dict[str, Any], sizes: set[tuple[int, int]]) -> None:
    graph, weights, _ = net()
    found = prune(graph, weights, replace(PLAN, **{"by": "units", **options}))
    assert {(part.size, len(part.kept)) for part in found.parts} == sizes


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"keep": 0.0}, "E936", "a share of 0 cannot be kept"),
        ({"keep": float("nan")}, "E936", "a share of nan cannot be kept"),
        ({"keep": 0.05, "minimum": 0.5}, "E936", "keep 0."),
        ({"multiple": 0}, "E936", "counted from 1"),
        ({"minimum": 2.0}, "E936", "no group can keep"),
        ({"normalize": "meen"}, "E936", "it is one of none, mean"),
        ({"by": "joules"}, "E936", "no budget in `joules`"),
        ({"method": "magnitud"}, "E939", "did you mean `magnitude`?"),
        ({"only": "conv9.*"}, "E939", "`conv9.*` names no group"),
        ({"method": "taylor", "data": None}, "E938", "`taylor` needs examples"),
        ({"tuning": Tuning(), "data": None}, "E938", "training on needs examples"),
        ({"method": "llm-drop", "by": "units"}, "E936", "not by units"),
        ({"method": "llm-drop", "keep": 0.01}, "E936", "without any of the 1 parts"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], code: str, said: str) -> None:
    graph, weights, data = net()
    given = {"data": data, "tuning": None, **options}
    data, tuning = given.pop("data"), given.pop("tuning")
    with pytest.raises(ArchitraveError) as caught:
        prune(graph, weights, replace(PLAN, **given), data, tuning=tuning)
    assert caught.value.diagnostics[0].code == code
    assert said in str(caught.value)


def test_scores_that_are_no_numbers() -> None:
    graph, weights, _ = net()
    weights["conv3.weight"] = np.full_like(weights["conv3.weight"], np.nan)
    with pytest.raises(ArchitraveError, match=r"E937.*unit 0 of"):
        prune(graph, weights, PLAN)


def test_nothing_can_go() -> None:
    graph = architrave.loads("model Still()(x: [N, 4]) -> [N, 4] = tanh(x)")
    with pytest.raises(ArchitraveError, match=r"E939.*nothing in `Still` can be cut"):
        prune(graph, {}, PLAN)


def test_groups_that_stay_whole_say_why() -> None:
    graph, weights, data = net()
    found = prune(graph, weights, replace(PLAN, method="bn-scale", keep=0.6), data)
    reasons = facts(found)["whole"]
    assert reasons["head.weight:0"] == "output 0 has it"
    assert reasons["conv1.weight:1"] == "the input `image` has it"
    assert reasons["hidden.weight:0"] == "no batch norm scales it"


def test_rounds_with_training_between() -> None:
    graph, weights, data = net()
    plan = replace(PLAN, keep=0.5, rounds=2, method="taylor")
    found = prune(graph, weights, plan, data, tuning=Tuning(epochs=1, batch=3))
    assert found.macs[1] <= 0.5 * found.macs[0]
    shapes = {w.op.path: w.shape for w in found.graph.weights}
    assert {path: array.shape for path, array in found.weights.items()} == shapes
    by_name = {part.name: part for part in found.parts}
    assert len(by_name["conv3.weight:0"].kept) == shapes["conv3.weight"][0]
    assert set(found.before) == set(found.cut) == set(found.after) == {"accuracy", "loss"}


def test_time_is_measured_at_some_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that counts multiply-adds, so that nothing depends on what else the machine does."""

    def counted(networks: Sequence[tuple[Any, Any]], *rest: Any) -> list[float]:
        return [1.0 + 1e-6 * multiply_adds(graph, {"N": 1}) for graph, _ in networks]  # type: ignore[operator]

    monkeypatch.setattr(timing, "seconds", counted)
    monkeypatch.setattr(pruning, "seconds", counted)
    graph, weights, data = net()
    found = prune(graph, weights, replace(PLAN, keep=0.97, by="time"), data)
    assert found.seconds is not None
    assert found.seconds[1] <= 0.97 * found.seconds[0]
    assert found.macs[1] < found.macs[0]


def test_layers_go() -> None:
    graph = architrave.load("ViTS16", **SMALL["ViTS16"])
    found = prune(graph, weights_of(graph), replace(PLAN, keep=0.8, method="llm-drop"), examples(graph))
    assert found.dropped
    assert found.macs[1] <= 0.8 * found.macs[0]
    assert any(layer.shapes[1] is None for layer in found.layers)
