"""Adilova, Andriushchenko, Kamp, Fischer and Jaggi, "Layer-wise Linear Mode Connectivity" (2024)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.merge.interpolate import Landscape, layers, mixed
from architrave.merge.report import page
from architrave.train import AdamW, Dataset, Objective, Recipe, Schedule, Trainer
from architrave.weights import Weights

LINEAR = """
from std.linear import linear

model Net()(x: [N, 4]) -> [N, 3] = x -> a: linear(6) -> b: linear(6) -> c: linear(3)
"""
NORMED = """
from std.linear import linear
from std.norm import batch_norm

model Net()(x: [N, 4]) -> [N, 3] = x -> a: linear(16) -> bn: batch_norm -> relu -> b: linear(3)
"""
RNG: Any = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype(np.float32)
Y = np.tanh(X @ RNG.normal(size=(4, 3))).astype(np.float32)


def landscape(text: str, steps: int = 150) -> Landscape:
    """Two networks that differ in their seed."""
    graph = architrave.loads(text)
    data = Dataset((X,), Y)

    def trained(seed: int) -> Weights:
        recipe, schedule = Recipe(AdamW(), Objective("mse")), Schedule(3e-2, steps, "cosine")
        trainer = Trainer(graph, recipe, schedule, data.target_type(graph), seed=seed)
        for _ in range(steps):
            trainer.train(X, Y)
        return trainer.weights()

    return Landscape(graph, trained(0), trained(1), data, Objective("mse"), backend="numpy")


@pytest.fixture(scope="module")
def linear() -> Landscape:
    return landscape(LINEAR)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_the_loss_of_a_deep_linear_network_is_convex_in_one_layer(linear, name):
    way = linear.way(name, layers(linear.network)[name])
    assert way.barrier == pytest.approx(0.0, abs=1e-6)
    assert way.inner <= 1e-6
    assert linear.whole().barrier > 0.01


def test_at_the_ends_are_the_networks(linear):
    paths = [path for held in layers(linear.network).values() for path in held]
    for share, wanted in ((0, linear.a), (1, linear.b)):
        found = mixed(linear.a, linear.b, share, paths)
        assert all(np.array_equal(found[path], wanted[path]) for path in wanted)
    part = mixed(linear.a, linear.b, 0.25, ["b.weight"])
    np.testing.assert_allclose(part["b.weight"], 0.75 * linear.a["b.weight"] + 0.25 * linear.b["b.weight"], rtol=1e-6)
    assert all(np.array_equal(part[path], linear.a[path]) for path in paths if path != "b.weight")


def test_all_layers_together_are_the_whole_way(linear):
    linear = replace(linear, shares=(0.0, 0.5, 1.0))
    heard: list[int] = []
    found = linear.ways(heard.append)
    assert found.whole.losses == found.first[-1].losses == found.last[0].losses == linear.whole().losses
    assert [way.name for way in found.layers] == ["a", "b", "c"]
    assert found.first[0].losses == found.layers[0].losses
    assert found.last[-1].losses == found.layers[-1].losses
    assert len(heard) == 9
    text = page(found, "noise")
    assert text.count("<svg") == 2
    assert f"{found.whole.barrier:.4f}" in text
    assert "<tr><td>b<td>" in text


def test_statistics_taken_anew_lower_the_barrier_of_norms():
    found = landscape(NORMED)
    again = replace(found, batches=((X[:32],), (X[32:],)))
    assert again.whole().barrier < found.whole().barrier
    way = found.way("bn", layers(found.network)["bn"])
    assert way.paths == ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")


def test_what_is_refused(linear):
    with pytest.raises(ArchitraveError, match=r"E933.*`d.weight` is not in both networks"):
        mixed(linear.a, linear.b, 0.5, ["d.weight"])
    with pytest.raises(ArchitraveError, match=r"E933.*shares go from 0 to 1"):
        replace(linear, shares=(0.0, 1.0)).whole()
