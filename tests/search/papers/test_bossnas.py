"""Blocks of convolutions and attention that learn without labels: Li and others (2021)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.arrays import known
from architrave.ir.autodiff import grad
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.source import ArchitraveError
from architrave.models import find
from architrave.search.space.costs import Costs
from architrave.search.supernet.blockwise import Blocks, Ensemble, end_of
from architrave.search.supernet.bootstrap import BlockwiseTrainer
from architrave.train import SGD, AdamW, Schedule

COSTS = Costs(find("HyTra"), {"width": 16, "depth": 4, "size": 32, "classes": 3}, {"N": 1})
FIXED = {f"halve.{i}": "yes" for i in (1, 2, 3)}
BLOCKS = Blocks(("layer.1", "layer.3"), size=8)
RNG: Any = np.random.default_rng(0)
X = RNG.standard_normal((4, 3, 32, 32))
PATHS = [{**FIXED, **{f"layer.{i}": label for i, label in enumerate(path)}} for path in (
    ("conv", "conv", "attention", "conv"),
    ("attention", "conv", "conv", "attention"),
    ("conv", "attention", "conv", "conv"),
)]  # fmt: skip


def ensemble() -> Ensemble:
    return Ensemble([COSTS.member_graph(member) for member in PATHS], BLOCKS)


def trainer(**options: Any) -> BlockwiseTrainer:
    optimizer = options.pop("optimizer", AdamW())
    return BlockwiseTrainer(COSTS, BLOCKS, optimizer, Schedule(1e-2, 40), paths=2, **{"fixed": FIXED, **options})


@pytest.mark.parametrize("block", [0, 1])
def test_no_gradient_of_a_block_reaches_the_weights_of_others(block: int) -> None:
    graph = ensemble().block(block)
    own = ("stem", "layer.0", "layer.1") if block == 0 else ("layer.2", "layer.3")
    params = [w for w in graph.weights if isinstance(w.op, Param)]
    found = architrave.interpret(grad(graph, wrt=params), [X], architrave.init(graph, 0, "float64")).outputs
    for weight, g in zip(params, found, strict=True):
        path = path_of(weight)
        mine = path.startswith((*own, f"project.{block}.", f"predict.{block}"))
        if not mine:
            assert (g == 0).all(), path
    assert any(np.abs(g).max() > 1e-6 for g in found)


def test_every_path_has_types_that_fit_and_halves_the_image_once_after_the_other() -> None:
    COSTS.check()
    for number in range(0, COSTS.space.size, 7):
        graph = COSTS.member_graph(COSTS.space.member(number))
        heights = [end_of(graph, f"layer.{i}").shape[2] for i in range(4)]
        assert all(after in (before, known(before) // 2) for before, after in pairwise([8, *heights]))


def test_twins_are_moving_averages() -> None:
    graph = ensemble().graph
    weights = architrave.init(graph, 0, "float64")
    weights |= {path: RNG.standard_normal(w.shape) for path, w in weights.items() if path.startswith("twin.project")}
    updates = architrave.interpret(graph, [X], weights).updates
    twins = [path for path in weights if path.startswith("twin.") and "running" not in path]
    assert twins
    for path in twins:
        wanted = BLOCKS.decay * weights[path] + (1 - BLOCKS.decay) * weights[path.removeprefix("twin.")]
        np.testing.assert_allclose(updates[path], wanted, rtol=1e-12)


def test_paths_learn_from_the_mean_of_their_twins() -> None:
    """One path whose twin is itself has the whole ensemble for its centre; the loss is as the formula says."""
    graph = Ensemble([COSTS.member_graph(PATHS[0])] * 2, BLOCKS)
    weights = architrave.init(graph.distances, 0, "float64")
    one, other = architrave.interpret(graph.distances, [X], weights).outputs
    assert one == other
    assert 0 < one < 4 * len(BLOCKS.places)


def assert_extracted_paths_are_those_of_the_supernet(learned: BlockwiseTrainer, members: Any) -> None:
    features = learned._ensemble(members).features
    weights = {path_of(w): learned.states[path_of(w)] for w in features.weights}
    found = architrave.interpret(features, [X], weights, training=True).outputs
    for i, member in enumerate(members):
        graph = specialize(COSTS.member_graph(member), training=True)
        alone = replace(graph, outputs=tuple(end_of(graph, place) for place in BLOCKS.places), updates=())
        wanted = architrave.interpret(alone, [X], learned.weights(member)).outputs
        for one, other in zip(found[2 * i : 2 * i + 2], wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_an_extracted_path_equals_the_supernets() -> None:
    learned = trainer(dtype="float64", optimizer=SGD())
    learned.train(X)
    assert_extracted_paths_are_those_of_the_supernet(learned, learned.drawn(0))


def test_paths_that_halve_the_image_elsewhere_learn_together() -> None:
    """Weights of one path and of another shape are other weights, in any step."""
    layers = {f"layer.{i}": "conv" for i in range(4)}
    learned = trainer(dtype="float64", optimizer=SGD(), fixed=layers, seed=1)
    first, second = learned.drawn(0)
    assert {first[f"halve.{i}"] for i in (1, 2, 3)} | {second[f"halve.{i}"] for i in (1, 2, 3)} == {"no", "yes"}
    learned.train(X)
    assert_extracted_paths_are_those_of_the_supernet(learned, [first, second])
    graphs = [COSTS.member_graph(member) for member in (first, second)]
    types = [{path_of(w): w.type for w in graph.weights} for graph in graphs]
    both = [path for path in types[0] if path in types[1] and "head" not in path and "running" not in path]
    differ = [path for path in both if types[0][path] != types[1][path]]
    assert differ
    for path in differ:
        assert learned.weights(first)[path].shape != learned.weights(second)[path].shape
        assert any(held.startswith("sized_") and held.endswith(f".{path}") for held in learned.states)


@pytest.mark.slow
def test_paths_come_near_their_centre_and_are_ranked() -> None:
    few = {path: label for path, label in PATHS[0].items() if path != "layer.3"}
    learned = BlockwiseTrainer(COSTS, BLOCKS, AdamW(), Schedule(1e-2, 40), fixed=few, paths=2, compiled=2)
    members = [{**few, "layer.3": label} for label in ("conv", "attention")]
    x = X.astype(np.float32)
    before = learned.distances(members, x)
    for _ in range(6):
        learned.train(x)
    after = learned.distances(members, x)
    assert sum(after) < 0.95 * sum(before)


def test_paths_whose_shapes_differ_do_not_learn_together() -> None:
    other = {**PATHS[0], "halve.1": "no"}
    with pytest.raises(ArchitraveError, match="in two paths"):
        _ = Ensemble([COSTS.member_graph(member) for member in (PATHS[0], other)], BLOCKS).graph
    with pytest.raises(ArchitraveError, match="no block of a supernet ends there"):
        _ = Ensemble([COSTS.member_graph(PATHS[0])], Blocks(("head.nothing",))).graph
