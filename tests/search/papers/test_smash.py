"""Weights from a hypernetwork, and networks as memory banks: Brock and others (2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.arrays import Array
from architrave.ir.ops.leaves import path_of
from architrave.ir.type_parser import parse_type
from architrave.models import find_in_text
from architrave.search.space.costs import Costs
from architrave.search.supernet.nested import Sampled, SliceTrainer
from architrave.search.supernet.smash import Generated
from architrave.train import AdamW, Objective, Recipe, Schedule

BANKS = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

block Op(out: int)(x: [N, C, H, W]) -> [N, out, H, W] {
    return x -> norm: batch_norm -> relu -> conv: conv2d(out, 3, bias = false)
}

fn written(banks: list, to: int, y: [N, C, H, W]) -> list {
    \"\"\"The banks, each a list of what it holds, with what is added to one of them.\"\"\"
    new = if len(banks[to]) == 0 { y } else { banks[to][0] + y }
    return banks[:to] + [[new]] + banks[to + 1:]
}

fn side_by_side(banks: list) -> [N, _, H, W] {
    held = []
    for bank in banks {
        held = held + bank
    }
    return concat(held, axis = 1)
}

block Banks(count: int, reads: list, writes: list, widths: list)(x: [N, C, H, W]) -> [N, _, H, W] {
    \"\"\"Each operation reads some banks, side by side, and adds what it makes to one. All are returned.\"\"\"
    banks = [[x]] + [[] for i in range(count - 1)]
    for i in 0..len(reads) {
        y = side_by_side([banks[j] for j in reads[i]]) -> layer[i]: Op(widths[i])
        banks = written(banks, writes[i], y)
    }
    return side_by_side(banks)
}
"""
SPACE = (
    BANKS
    + """
model Smash(classes: int = 3)(image: [N, 4, 6, 6]) -> [N, classes] {
    first = choice first { same: 0, other: 1 }
    second = choice second { one: [0], both: [0, 1] }
    third = choice third { one: [0], both: [0, 1] }
    target = choice target { same: 0, other: 1 }
    x = image -> banks: Banks(2, [[0], second, third], [first, target, 0], [4, 4, 4])
    return x -> global_avg_pool -> head: linear(classes)
}
"""
)
X: Array = np.random.default_rng(0).standard_normal((5, 4, 6, 6))
PATTERNS = {
    "residual": (
        "image -> banks: Banks(1, [[0], [0]], [0, 0], [4, 4])",
        "    x = image + (image -> layer[0]: Op(4))\n    return x + (x -> layer[1]: Op(4))",
    ),
    "dense": (
        "image -> banks: Banks(3, [[0], [0, 1]], [1, 2], [3, 3])",
        "x = concat([image, image -> layer[0]: Op(3)], axis = 1)\nreturn concat([x, x -> layer[1]: Op(3)], axis = 1)",
    ),
    "fractal": (
        "(image -> banks: Banks(3, [[0], [0], [2]], [1, 2, 1], [4, 4, 4]))[:, 4:8]",
        "    long = image -> layer[1]: Op(4) -> layer[2]: Op(4)\n    return (image -> layer[0]: Op(4)) + long",
    ),
}


def members(found: Generated, count: int = 5) -> list[dict[str, str]]:
    rng: Any = np.random.default_rng(1)
    return [found.costs.space.sample(rng) for _ in range(count)]


@pytest.fixture(scope="module")
def space() -> Generated:
    return Generated(Costs(find_in_text(SPACE), {}, {"N": 1}), width=8)


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_of_reads_and_writes_are_networks_that_are_known(name: str) -> None:
    banks, plain = PATTERNS[name]
    ours = architrave.loads(f"{BANKS}\nmodel M()(image: [N, 4, 6, 6]) = {banks}\n")
    theirs = architrave.loads(f"{BANKS}\nmodel M()(image: [N, 4, 6, 6]) {{\n{plain}\n}}\n")
    rng: Any = np.random.default_rng(0)
    weights = {path: np.abs(rng.standard_normal(w.shape)) for path, w in architrave.init(theirs).items()}
    (wanted,) = architrave.interpret(theirs, [X], weights).outputs
    (found,) = architrave.interpret(ours, [X], {f"banks.{path}": w for path, w in weights.items()}).outputs
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_generated_weights_have_the_shapes_of_the_member(space: Generated) -> None:
    weights = architrave.init(space.graph, 0, "float64")
    for member in members(space):
        frozen = space.frozen(member, weights)
        assert {p: w.shape for p, w in frozen.items()} == {path_of(w): w.shape for w in space.fixed(member).weights}
        assert not set(space.slots) & {path_of(w) for w in space.network(member).weights}


def test_frozen_weights_give_the_same_output(space: Generated) -> None:
    weights = architrave.init(space.graph, 0, "float64")
    for member in members(space):
        (wanted,) = architrave.interpret(space.network(member), [X], space.weights(member, weights)).outputs
        (found,) = architrave.interpret(space.fixed(member), [X], space.frozen(member, weights)).outputs
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12)


def test_members_have_weights_of_their_own(space: Generated) -> None:
    """The hypernetwork is told which member it is."""
    weights = architrave.init(space.graph, 0, "float64")
    one, other = (
        space.frozen({**space.largest, "target": label}, weights)["banks.layer.0.conv.weight"]
        for label in ("same", "other")
    )
    assert not np.allclose(one, other)


def test_the_hypernetwork_learns_with_any_member(space: Generated) -> None:
    labels = np.array([0, 1, 2, 0, 1])
    recipe = Recipe(AdamW(), Objective("cross_entropy"))
    schedule = Schedule(1e-2, 20)
    first = architrave.init(space.graph, 0, "float64")
    trainer = SliceTrainer(space, first, recipe, schedule, parse_type("i64[N]"), Sampled(1), dtype="float64")
    losses = [trainer.train(X, labels)[0] for _ in range(20)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert not np.allclose(trainer.weights()["hypernetwork.weights.weight"], first["hypernetwork.weights.weight"])
