"""Networks become wider and deeper and stay the same function (Chen, Goodfellow and Shlens, "Net2Net", 2016)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.backends.agree.equal import equal
from architrave.ir import build
from architrave.ir.autodiff import value_and_grad
from architrave.ir.axes.groups import groups
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.passes import apply
from architrave.passes.structure.grow_wider import copies, refusals, shared
from tests.stdlib.small import SMALL

MLP = """
from std.linear import linear

model Net(width: int = 4)(x: [N, 3]) -> [N, 2] {
    return x -> a: linear(width) -> relu -> b: linear(width) -> tanh -> c: linear(2)
}
"""
QUICK = {"DenseNet121", "GPT2Small", "MobileNetV2", "ResNeXt50", "ShuffleNetV2X0_5", "SwinT"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(SMALL)]
)
def test_every_network_wider(name):
    graph = architrave.load(name, **SMALL[name])
    made = apply(graph, "widen{factor=1.5 spread=0.5},hoist")
    found = equal(graph, made.graph, weights_b=made.weights, seeds=1)
    assert found.ok, str(found)
    assert found.tolerance <= 1e-10
    before, after = groups(graph), groups(made.graph).by_name
    left = refusals(before)
    grown = [group for group in before if group not in left]
    assert all(after[g.name].size == round(1.5 * g.size) for g in grown if g.name in after)
    # Nothing of the shares is left beside the weights.
    assert not [w for w in made.graph.weights if path_of(w).startswith("share")]


def test_copies_share_what_they_do():
    graph = architrave.loads(MLP)
    weights = architrave.init(graph)
    made = apply(graph, "widen{only=a.weight:0 factor=2},hoist")
    new = made.weights(weights)
    assert new["a.weight"].shape == (8, 3)
    np.testing.assert_array_equal(new["a.weight"][:4], weights["a.weight"])
    counts = [sum(np.array_equal(row, other) for other in new["a.weight"]) for row in new["a.weight"]]
    assert sum(counts) > len(counts)
    for i, row in enumerate(weights["a.weight"]):
        same = [j for j, other in enumerate(new["a.weight"]) if np.array_equal(row, other)]
        np.testing.assert_allclose(new["b.weight"][:, same].sum(1), weights["b.weight"][:, i], rtol=1e-6)
        assert np.ptp(new["b.weight"][:, same], axis=1).max() < 1e-6
    assert new["b.weight"].shape == (4, 8)
    assert new["c.weight"].shape == (2, 4)


def test_unequal_shares_let_copies_learn_different_things():
    graph = architrave.loads(MLP)
    weights = architrave.init(graph)
    x = np.random.default_rng(0).normal(size=(5, 3))
    for spread in (0.0, 0.5):
        made = apply(graph, f"widen{{only=b.weight:0 spread={spread}}},hoist")
        new = made.weights(weights)
        gradient = _gradient(made.graph, new, x)
        pairs = [(i, j) for i in range(8) for j in range(i) if np.array_equal(new["b.weight"][i], new["b.weight"][j])]
        assert pairs
        alike = [np.allclose(gradient[i], gradient[j]) for i, j in pairs]
        assert all(alike) if spread == 0 else not any(alike)


def _gradient(graph: Graph, weights: dict[str, Any], x: Any) -> Any:
    """That of the sum of all outputs by `b.weight`."""
    total = replace(graph, outputs=(build.sum(graph.outputs[0]),))
    wanted = [w for w in total.weights if path_of(w) == "b.weight"]
    return architrave.interpret(value_and_grad(total, wanted), [x], weights).outputs[1]


def test_no_unit_stands_twice_in_a_row():
    rng: Any = np.random.default_rng(0)
    for size in (2, 3, 7):
        units = copies(size, 4 * size, rng)
        assert list(units[:size]) == list(range(size))
        assert (np.diff(units) != 0).all()
        np.testing.assert_allclose(np.bincount(units, shared(units, 0.9, rng)), 1)
        assert (shared(units, 0.9, rng) > 0).all()


def test_what_cannot_grow_says_why():
    graph = architrave.load("LSTMTagger", **SMALL["LSTMTagger"])
    made = apply(graph, "widen")
    assert made.graph == graph
    reasons = [entry.reason for entry in made.journal.declined]
    assert any("`scan` sums over it inside" in str(reason) for reason in reasons)


@pytest.mark.parametrize("name", ["ResNet18", "VGG16", "BARTBase", "MobileNetV2"])
def test_deeper(name):
    graph = architrave.load(name, **SMALL[name])
    made = apply(graph, "deepen")
    found = equal(graph, made.graph, weights_b=made.weights, seeds=1)
    assert found.ok, str(found)
    deeper = [path_of(w) for w in made.graph.weights if ".deeper" in f".{path_of(w)}"]
    assert bool(deeper) == (name in ("ResNet18", "VGG16", "MobileNetV2"))
    # A network without a checkpoint starts so, too.
    held = architrave.init(made.graph)
    assert all(not np.any(held[path]) for path in deeper if path.endswith("bias"))
    assert all(np.count_nonzero(held[path]) == len(held[path]) for path in deeper if path.endswith("weight"))


def test_what_has_grown_learns():
    pytest.importorskip("sklearn")
    from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer, open_data

    graph = architrave.loads(
        MLP.replace("[N, 3]", "[N, 64]").replace("[N, 2]", "[N, 10]").replace("linear(2)", "linear(10)")
    )
    made = apply(graph, "widen{factor=3 spread=0.5},deepen,hoist")
    weights = made.weights(architrave.init(graph))
    data, _ = open_data("digits", graph)
    trainer = Trainer(
        made.graph,
        Recipe(AdamW(), Objective("cross_entropy")),
        Schedule(1e-2, 60),
        data.target_type(graph),
        weights=weights,
    )
    losses = [trainer.train(*arrays) for epoch in range(2) for arrays in data.epoch(64, 0, epoch)]
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
