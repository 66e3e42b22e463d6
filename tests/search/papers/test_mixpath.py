"""MixPath: Chu, Lu, Li and Zhang (2023)."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import optuna
import pytest

import architrave
from architrave.backends.load import compile
from architrave.dsl.space import Domain
from architrave.ir import cost
from architrave.ir.choice import choices
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.models import find_in_text
from architrave.search.space.feasible import Feasible
from architrave.search.space.members import Space
from architrave.search.space.subsets import subsets
from architrave.search.study.sampler import Decisions, decide
from architrave.search.study.settings import Settings
from architrave.search.supernet.child import child
from architrave.search.supernet.draws import Several
from architrave.search.supernet.mixpath import MixPath, Subsets, mixpath
from architrave.train import AdamW, Objective, Recipe, Schedule
from architrave.train.paths import PathTrainer
from tests.search.supernets import IMAGES, LABELS, RNG, assert_equal_to_its_members, drawn

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
    assert len({tuple(member.items()) for member in found.space}) == per_layer**2
    assert len(found.labels["layer.0.kernel"]) == per_layer


def test_a_member_is_the_supernet_with_its_subsets() -> None:
    found = mixpath(source(), MOST)
    rng = np.random.default_rng(0)
    members = [found.space.sample(rng) for _ in range(4)]
    assert len({label.count("+") for member in members for label in member.values()}) > 1
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


def trained(found: MixPath, steps: int) -> PathTrainer:
    recipe = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1)
    draw = Several(choices(found.source), MOST)
    trainer = PathTrainer(found, draw, recipe, Schedule(1e-2, 20), parse_type("i64[N]"))
    for _ in range(steps):
        trainer.train(IMAGES, LABELS)
    return trainer


def test_paths_that_are_not_active_rest() -> None:
    found = mixpath(source(), MOST)
    trainer = trained(found, 3)
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
    with pytest.raises(ArchitraveError, match=r"E952.*no decision `layer.0.kernel` with the label"):
        mixpath(source(), MOST).setting({"layer.0.kernel": label})


def test_members_are_drawn_changed_and_coded() -> None:
    space, rng = mixpath(source(), MOST).space, np.random.default_rng(1)
    one, other = space.sample(rng), space.sample(rng)
    for member in (
        one,
        space.mutate(one, rng),
        space.cross(one, other, rng),
        space.decided({"layer.0.kernel": "k3+k9"}),
    ):
        assert space.member(space.number(member)) == member == space.decode(space.encode(member))
    assert sum(a != b for a, b in zip(one.values(), space.mutate(one, rng).values(), strict=True)) == 1
    draw = Several(choices(source()), MOST, seed=2)
    drawn_ones = [draw(step) for step in range(200)]
    assert all(member in space for member in drawn_ones)
    counts = Counter(member["layer.1.kernel"].count("+") for member in drawn_ones)
    assert all(abs(counts[k] - 200 / MOST) < 30 for k in range(MOST))


def test_members_cost_what_their_graphs_say() -> None:
    costs = Subsets(find_in_text(TEXT), {}, {"N": 1}, most=2)
    found = [costs.of(member) for member in costs.space]
    for quantity in ("params", "state", "macs"):
        amounts = [each[quantity] for each in found]
        assert costs.range(quantity) == (min(amounts), max(amounts))
    for number in range(0, costs.space.size, 23):
        member = costs.space.member(number)
        graph = costs.member_graph(member)
        assert found[number]["params"] == cost.parameters(graph)
        assert found[number]["macs"] == cost.multiply_adds(graph, {"N": 1})
        assert found[number]["state"] == cost.state(graph)


NESTED = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear

block twice()(x: [N, C, H, W]) -> [N, C, H, W] {
    return x -> choice first { three: conv2d(C, 3), one: conv2d(C, 1), none: identity } -> second: conv2d(C, 1)
}

model Nested()(image: [N, 2, 5, 5]) -> [N, 3] {
    x = image -> choice op { three: conv2d(2, 3), two: twice, skip: identity }
    return x -> global_avg_pool -> head: linear(3)
}
"""


def test_what_any_of_the_labels_brings_is_decided_too() -> None:
    named = find_in_text(NESTED)
    found, costs = mixpath(named.elaborate({}, keep_choices=True).graph, 2), Subsets(named, {}, {"N": 1}, most=2)
    assert found.space.size == costs.space.size == 3 + 3 * 6
    assert {*map(str, found.space)} == {*map(str, costs.space)}
    assert found.space.fingerprint != Space.of(named).fingerprint
    members = [
        {"op": "three+skip"},
        {"op": "two+skip", "op.two.first": "three+none"},
        {"op": "two", "op.two.first": "one"},
    ]
    assert_equal_to_its_members(found, members, IMAGES * np.ones((1, 2, 1, 1)))
    for member in members:
        assert (
            costs.of(member)["params"]
            == cost.parameters(found.member(member))
            == cost.parameters(costs.member_graph(member))
        )


def test_each_result_has_batch_norms_of_its_own() -> None:
    text = """
    model Two()(x: [N, 4]) -> [N, 4] {
        (a, b) = choice op { one: (x, 2 * x), other: (relu(x), x * x), third: (x, tanh(x)) }
        return a - b
    }
    """
    named = find_in_text(text)
    found, costs = mixpath(named.elaborate({}, keep_choices=True).graph, 2), Subsets(named, {}, {"N": 1})
    norms = {path_of(w).rpartition(".")[0] for w in found.graph.weights if "shadow" in path_of(w)}
    assert norms == {f"op.{use}.{k}" for use in ("shadow", "shadow_1") for k in (1, 2)}
    members = [{"op": "one"}, {"op": "one+third"}]
    assert_equal_to_its_members(found, members, RNG.normal(size=(6, 4)))
    for member in members:
        assert costs.of(member)["params"] == cost.parameters(found.member(member)) == 16


def test_what_has_no_channels_is_not_summed() -> None:
    named = find_in_text("model Flat()(x: [N]) = choice op { same: x, bent: relu(x) }")
    with pytest.raises(ArchitraveError, match=r"E958.*no channels"):
        Subsets(named, {}, {"N": 1}).of({"op": "same"})
    with pytest.raises(ArchitraveError, match=r"E958.*no channels"):
        mixpath(named.elaborate({}, keep_choices=True).graph, 2)


def test_more_subsets_than_can_be_listed() -> None:
    with pytest.raises(ArchitraveError, match=r"E974.*of the 15 labels of `op` there are 32,751 subsets"):
        subsets(Space("Wide", {"op": Domain("op", "stage", tuple(f"a{i}" for i in range(15)))}), 13)


def test_nsga_2_finds_a_front_of_subsets_with_inherited_weights() -> None:
    """Less loss against fewer multiply-adds; every member that it names can be cut out, also from JSON."""
    found = mixpath(source(), MOST)
    trainer, costs = trained(found, 10), Subsets(find_in_text(TEXT), {}, {"N": 1}, most=MOST)
    program, weights = compile(found.graph, "numpy"), trainer.weights()
    settings = Settings("net.arch", strategy="nsga2", options={"population_size": 6}, seed=1)
    sampler = Decisions(settings, Feasible(costs))
    study = optuna.create_study(sampler=sampler, directions=["minimize", "minimize"])
    for slot in range(24):
        study.enqueue_trial({}, user_attrs={"slot": slot})
        trial = study.ask()
        member = decide(trial, costs.space)
        scores = program({**weights, **found.setting(member)}, IMAGES.astype(np.float32))
        loss = np.mean(np.log(np.exp(scores).sum(-1)) - scores[np.arange(len(LABELS)), LABELS])
        study.tell(trial, [float(loss), costs.of(member)["macs"]])
    macs = [trial.values[1] for trial in study.trials]
    assert min(macs[12:]) <= min(macs[:6])
    assert len({tuple(trial.params.items()) for trial in study.trials}) > 15
    for best in study.best_trials:
        again = json.loads(json.dumps(best.params))
        assert again in costs.space
        assert cost.multiply_adds(child(found, weights, again).graph, {"N": 1}) == best.values[1]
