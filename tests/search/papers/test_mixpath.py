"""MixPath: Chu, Lu, Li and Zhang (2023)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import architrave
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.models import find_in_text
from architrave.search.supernet.child import child
from architrave.search.supernet.mixpath import mixpath
from architrave.train import AdamW, Objective, Recipe, Schedule
from architrave.train.paths import PathTrainer
from tests.search.supernets import IMAGES, LABELS, assert_equal_to_its_members, drawn

TEXT = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

block separable(kernels: list)(x: [N, C, H, W]) -> [N, C, H, W] {
    y = x -> expand: conv2d(2 * C, 1, bias = false) -> norm1: batch_norm -> relu
          -> choice kernel { k3: kernels[0], k5: kernels[1], k7: kernels[2], k9: kernels[3] } -> relu
          -> project: conv2d(C, 1, bias = false) -> norm2: batch_norm
    return x + y
}

model Mixed()(image: [N, 1, 5, 5]) -> [N, 3] {
    x = image -> stem: conv2d(2, 3)
    for i in 0..2 {
        x = x -> layer[i]: separable([conv2d(4, k, groups = 4, bias = false) for k in [3, 5, 7, 9]])
    }
    return x -> global_avg_pool -> head: linear(3)
}
"""
MOST = 3


def source() -> Graph:
    return find_in_text(TEXT).elaborate({}, keep_choices=True).graph


def test_as_many_batch_norms_as_paths_are_active_at_once() -> None:
    found = mixpath(source(), MOST)
    weights = {path_of(w) for w in found.graph.weights}
    for layer in range(2):
        numbers = {path.split(".")[4] for path in weights if path.startswith(f"layer.{layer}.kernel.shadow.")}
        assert numbers == {"1", "2", "3"}
    per_layer = sum(math.comb(4, k) for k in range(1, MOST + 1))
    assert found.space.size == per_layer**2
    assert len(found.space.of("layer.0.kernel")) == per_layer


def test_a_member_is_the_supernet_with_its_subsets() -> None:
    found = mixpath(source(), MOST)
    rng = np.random.default_rng(0)
    members = [found.space.sample(rng) for _ in range(4)]
    assert len({label.count("+") for member in members for label in member.values()}) == MOST
    assert_equal_to_its_members(found, members)
    cut = child(found, drawn(found.graph), {"layer.0.kernel": "k3+k7", "layer.1.kernel": "k9"})
    norms = {path.rpartition(".")[0] for path in cut.weights if "shadow" in path}
    assert norms == {"layer.0.kernel.shadow.2", "layer.1.kernel.shadow.1"}
    assert "shadow[2]: batch_norm" in cut.text()


def test_of_equal_paths_the_mean_grows_with_their_number_and_the_variance_with_its_square() -> None:
    """What each batch norm sees, by the statistics that it takes over in training."""
    found = mixpath(source(), MOST)
    weights = drawn(found.graph)
    weights |= {f"layer.0.kernel.{label}.weight": np.full((4, 1, k, k), 0.5) for label, k in (("k3", 3),)}
    for label, k in (("k5", 5), ("k7", 7)):
        middle = np.zeros((4, 1, k, k))
        middle[:, :, k // 2 - 1 : k // 2 + 2, k // 2 - 1 : k // 2 + 2] = 0.5
        weights[f"layer.0.kernel.{label}.weight"] = middle
    statistics: list[tuple[np.ndarray, np.ndarray]] = []
    for k, labels in enumerate(("k3", "k3+k5", "k3+k5+k7"), 1):
        held = {**weights, **found.setting({"layer.0.kernel": labels})}
        updates = architrave.interpret(found.graph, [IMAGES], held, training=True).updates
        moved = []
        for name in ("running_mean", "running_var"):
            path = f"layer.0.kernel.shadow.{k}.{name}"
            moved.append((updates[path] - 0.9 * held[path]) / 0.1)
            others = [f"layer.0.kernel.shadow.{j}.{name}" for j in (1, 2, 3) if j != k]
            assert all(np.array_equal(updates[other], held[other]) for other in others)
        statistics.append((moved[0], moved[1]))
    for k, (mean, variance) in enumerate(statistics, 1):
        np.testing.assert_allclose(mean, k * statistics[0][0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(variance, k**2 * statistics[0][1], rtol=1e-9)


def test_paths_that_are_not_active_rest() -> None:
    found = mixpath(source(), MOST)
    rng = np.random.default_rng(0)
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1)
    trainer = PathTrainer(found, lambda step: found.space.sample(rng), recipe, Schedule(1e-2, 9), parse_type("i64[N]"))
    for _ in range(3):
        trainer.train(IMAGES, LABELS)
    before = trainer.weights()
    member = {"layer.0.kernel": "k3+k7", "layer.1.kernel": "k9"}
    trainer.draw = lambda step: member
    trainer.train(IMAGES, LABELS)
    changed = {path for path, w in trainer.weights().items() if not np.array_equal(w, before[path])}
    read = {path_of(w) for w in found.member(member).weights}
    assert changed - set(found.setting(member)) <= read
    assert {"layer.0.kernel.k3.weight", "layer.0.kernel.k7.weight", "layer.1.kernel.shadow.1.weight"} <= changed


@pytest.mark.parametrize("label", ["k3+k5+k7+k9", "k5+k3", "k4", ""])
def test_subsets_that_there_are_not(label: str) -> None:
    with pytest.raises(ArchitraveError, match=r"E952.*does not take"):
        mixpath(source(), MOST).setting({"layer.0.kernel": label})
