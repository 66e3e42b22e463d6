"""Supernets of which one path is taken at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.ir.type_parser import parse_type
from architrave.models import find, find_in_text
from architrave.passes.search.switched import switched
from architrave.passes.search.weighed import weighed
from architrave.search.space.members import Space
from architrave.search.supernet.child import child
from architrave.search.supernet.draws import Fair, Single, Uniform
from architrave.search.supernet.mixpath import mixpath
from architrave.train import SGD, AdamW, Clipping, Group, Objective, Recipe, Schedule, Trainer
from architrave.train.paths import Draw, PathTrainer
from tests.search.supernets import IMAGES, LABELS, MEMBERS, SPACE, assert_equal_to_its_members, drawn, space

RECIPE = Recipe(AdamW(), Objective("cross_entropy"), decay=0.1)


def trainer(draw: Draw, recipe: Recipe = RECIPE, **options: Any) -> PathTrainer:
    schedule = Schedule(1e-2, 20)
    return PathTrainer(switched(space()), draw, recipe, schedule, parse_type("i64[N]"), seed=1, **options)


def test_a_member_is_the_supernet_with_its_switches() -> None:
    assert_equal_to_its_members(switched(space()))


def test_cells_that_share_their_choices() -> None:
    named, arguments = find("NASBench201"), {"width": 2, "depth": 1, "size": 8}
    supernet = switched(named.elaborate(arguments, keep_choices=True).graph)
    rng = np.random.default_rng(0)
    members = [Space.of(named, arguments).sample(rng) for _ in range(3)]
    assert_equal_to_its_members(supernet, members, rng.normal(size=(3, 3, 8, 8)))


def test_a_member_by_itself_is_the_one_of_the_space() -> None:
    supernet = switched(space())
    weights = drawn(supernet.graph)
    for member in MEMBERS[:2]:
        cut = child(supernet, weights, member)
        wanted = find_in_text(SPACE).elaborate({}, member).graph
        assert {w.op.path for w in wanted.weights} == set(cut.weights)  # type: ignore[attr-defined]
        found = architrave.interpret(wanted, [IMAGES], cut.weights, training=True)
        again = architrave.interpret(cut.graph, [IMAGES], cut.weights, training=True)
        np.testing.assert_array_equal(found.outputs[0], again.outputs[0])


def test_a_member_reads_as_one_would_write_it() -> None:
    supernet = switched(space())
    text = child(supernet, drawn(supernet.graph), MEMBERS[0]).text()
    assert text.endswith(
        """\
block conv_norm()(x: [N, 4, 5, 5]) {
    return x -> conv: conv2d(4, bias = false) -> norm: batch_norm -> relu
}

block conv_norm_2()(x: [N, 4, 5, 5]) {
    return x -> conv: conv2d(4, kernel = 1, bias = false) -> norm: batch_norm -> relu
}

model Small()(image: [N, 1, 5, 5]) {
    x = image -> stem: conv2d(4) -> norm: batch_norm
    return x -> op[0].three: conv_norm
             -> op[1].one: conv_norm_2
             -> mean(axis = [2, 3])
             -> head: linear(3)
}
"""
    )


@pytest.mark.parametrize("compiled", [0, 2])
@pytest.mark.parametrize("member", MEMBERS)
def test_a_step_changes_what_its_member_reads(member: dict[str, str], compiled: int) -> None:
    """Even with weight decay and with what the optimizer remembers of steps before."""
    found = trainer(Uniform(switched(space()).labels), compiled=compiled)
    for _ in range(4):
        found.train(IMAGES, LABELS)
    before = found.states()
    found.draw = Single(member)
    found.train(IMAGES, LABELS)
    changed = {path for path, w in found.states().items() if not np.array_equal(w, before[path])}
    graph = found.supernet.member(member)
    read = {w.op.path for w in graph.weights}  # type: ignore[attr-defined]
    changed -= {"optimizer.count", *found.supernet.setting(member)}
    assert {path.removeprefix("optimizer.mean.").removeprefix("optimizer.square.") for path in changed} <= read
    # Biases before a batch norm have no gradient, and biases do not decay.
    assert read - {"stem.bias"} <= changed


def test_a_step_of_a_supernet_is_that_of_its_member() -> None:
    found = trainer(Single(MEMBERS[0]), replace(RECIPE, optimizer=SGD()))
    first = found.weights()
    cut = child(found.supernet, first, MEMBERS[0])
    schedule = Schedule(1e-2, 20)
    recipe = replace(RECIPE, optimizer=SGD())
    alone = Trainer(cut.graph, recipe, schedule, parse_type("i64[N]"), seed=1, weights=cut.weights)
    for _ in range(3):
        assert found.train(IMAGES, LABELS) == pytest.approx(alone.train(IMAGES, LABELS), rel=1e-5)
    for path, w in alone.weights().items():
        np.testing.assert_allclose(found.weights()[path], w, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backend", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_backends_train_alike(backend: str) -> None:
    draw = Uniform(switched(space()).labels)
    ours, theirs = trainer(draw), trainer(draw, backend=backend)
    for _ in range(3):
        assert ours.train(IMAGES, LABELS) == pytest.approx(theirs.train(IMAGES, LABELS), rel=1e-4)


PROGRAMS = {
    "adamw": RECIPE,
    "clipped": replace(RECIPE, clipping=Clipping(norm=0.1)),
    "accumulated": replace(RECIPE, accumulate=3),
    "grouped": replace(RECIPE, optimizer=SGD(0.9), groups=(Group("stem.*", 0.0), Group("op.*", 0.5))),
}


@pytest.mark.parametrize(("name", "backend"), [*((name, "numpy") for name in PROGRAMS), ("adamw", "torch")])
def test_one_program_for_all_members_and_one_for_each_learn_the_same(name: str, backend: str) -> None:
    draw, recipe = Uniform(switched(space()).labels), PROGRAMS[name]
    options = {"dtype": "float64", "backend": backend, "gradients": True, "scores": True}
    whole, each = (trainer(draw, recipe, compiled=compiled, **options) for compiled in (0, 2))
    for _ in range(4):
        assert whole.train(IMAGES, LABELS) == pytest.approx(each.train(IMAGES, LABELS), abs=1e-10)
        np.testing.assert_allclose(whole.scores, each.scores, rtol=0, atol=1e-10)
    assert whole.states().keys() == each.states().keys()
    for path, state in whole.states().items():
        np.testing.assert_allclose(state, each.states()[path], rtol=0, atol=1e-9, err_msg=path)
    for path, gradient in whole.gradients.items():
        np.testing.assert_allclose(gradient, each.gradients[path], rtol=0, atol=1e-9, err_msg=path)
    again = trainer(draw, recipe, **options)
    again.restore(each.states(), each.steps)
    assert again.train(IMAGES, LABELS) == pytest.approx(each.train(IMAGES, LABELS), abs=1e-10)
    assert len(each._programs) == 2


def test_a_step_of_a_member_that_is_not_finite_changes_nothing_and_says_where() -> None:
    found = trainer(Single(MEMBERS[0]), compiled=1)
    found.train(IMAGES, LABELS)
    before = found.states()
    with pytest.raises(
        ArchitraveError, match=r"E546.*the loss of step 2 is nan(.|\n)*the input `image` holds a number"
    ):
        found.train(np.full_like(IMAGES, np.nan), LABELS)
    for path, state in found.states().items():
        np.testing.assert_array_equal(state, before[path])


@pytest.mark.parametrize("compiled", [0, 3])
def test_one_update_for_a_fair_round(compiled: int) -> None:
    """Each label has learnt once, and all of them change at the end of the round."""
    decisions = {"op.1": ("three", "one", "skip")}
    found = trainer(Fair(decisions, 3), replace(RECIPE, accumulate=3), compiled=compiled)
    first = found.weights()
    for _ in range(2):
        found.train(IMAGES, LABELS)
    weights = [path for path in first if path.startswith("op.1.") and path.endswith("conv.weight")]
    assert all(np.array_equal(found.weights()[path], first[path]) for path in weights)
    found.train(IMAGES, LABELS)
    assert not any(np.array_equal(found.weights()[path], first[path]) for path in weights)
    other = "op.0.one.conv.weight"
    assert np.array_equal(found.weights()[other], first[other])


def test_fair_and_uniform_draws() -> None:
    decisions = {"a": ("x", "y", "z"), "b": ("p", "q")}
    fair, uniform = Fair(decisions, 5), Uniform(decisions, 5)
    for path, labels in decisions.items():
        n = len(labels)
        for turn in range(20):
            assert sorted(fair(turn * n + i)[path] for i in range(n)) == sorted(labels)
        assert len({tuple(fair(turn * n + i)[path] for i in range(n)) for turn in range(20)}) > 1
        counts = Counter(uniform(step)[path] for step in range(600))
        assert all(abs(counts[label] - 600 / n) < 60 for label in labels)
    assert fair(7) == Fair(decisions, 5)(7)
    assert uniform(7) == Uniform(decisions, 5)(7)


def test_batch_statistics_are_taken_anew() -> None:
    supernet = switched(space())
    weights = drawn(supernet.graph)
    cut = child(supernet, weights, MEMBERS[0], [(IMAGES[:3],), (IMAGES[3:],)])
    path = "op.0.three.norm.running_mean"
    assert not np.allclose(cut.weights[path], weights[path])
    np.testing.assert_array_equal(cut.weights["op.0.three.conv.weight"], weights["op.0.three.conv.weight"])


def test_what_is_no_member() -> None:
    with pytest.raises(ArchitraveError, match=r"E952.*no decision `op.0` with the label `tree`"):
        switched(space()).setting({"op.0": "tree"})


LOOP = """
from std.linear import linear

block twice()(x: [N, C]) -> [N, C] = 2.0 * x

block Cell()(row: [N, C], h: [N, C]) -> [N, C] {
    own = h -> choice op { up: linear(C), down: linear(C, bias = false), same: identity }
    y = tanh((row -> input: linear(C)) + own)
    return if training { y -> choice trained { double: twice, same: identity } } else { y }
}

model Loop()(x: [N, T, 4]) -> [N, 3] {
    cell = Cell()
    scan row in x, axis = 1, carry (h = zeros([N, 4])) {
        h = cell(row, h)
    }
    while turns < 2, carry (h = h, turns = full([], 0.0)), max = 5 {
        h = choice last { half: 0.5 * h, tanh: tanh(h) }
        turns = turns + 1
    }
    return h -> head: linear(3)
}
"""
LOOPED = (
    {"cell.op": "up", "cell.trained": "double", "last": "half"},
    {"cell.op": "down", "cell.trained": "same", "last": "tanh"},
    {"cell.op": "same", "cell.trained": "double", "last": "tanh"},
)
SEQUENCES: Any = np.random.default_rng(0).normal(size=(6, 5, 4))


@pytest.mark.parametrize("opened", [switched, weighed])
def test_choices_in_loops_and_in_what_differs_in_training(opened: Any) -> None:
    supernet = opened(find_in_text(LOOP).elaborate({}, keep_choices=True).graph)
    assert_equal_to_its_members(supernet, LOOPED, SEQUENCES)


@pytest.mark.parametrize(
    ("backend", "compiled"), [("numpy", 0), ("numpy", 1), ("torch", 0), pytest.param("jax", 0, marks=pytest.mark.slow)]
)
def test_what_a_loop_reads_of_a_member_alone_changes(backend: str, compiled: int) -> None:
    supernet = switched(find_in_text(LOOP).elaborate({}, keep_choices=True).graph)
    schedule, target = Schedule(1e-2, 9), parse_type("i64[N]")
    options: Any = {"backend": backend, "compiled": compiled}
    found = PathTrainer(supernet, Uniform(supernet.labels), RECIPE, schedule, target, **options)
    for _ in range(3):
        found.train(SEQUENCES, LABELS)
    for member in LOOPED:
        before, found.draw = found.weights(), Single(member)
        found.train(SEQUENCES, LABELS)
        changed = {path for path, w in found.weights().items() if not np.array_equal(w, before[path])}
        assert changed - set(supernet.setting({})) == {path_of(w) for w in supernet.member(member).weights}


def test_statistics_that_would_be_taken_in_a_loop() -> None:
    with pytest.raises(ArchitraveError, match=r"E957.*the choice `\S+` is made in `mode`, where no statistics"):
        mixpath(find_in_text(LOOP).elaborate({}, keep_choices=True).graph, 2)


def test_a_choice_in_a_function_with_a_gradient_of_its_own() -> None:
    text = """
    fn bent(x: [*S]) -> [*S] {
        return choice op { up: relu(x), same: x }
    } grad (g) {
        return g
    }
    model Own()(x: [N, 4]) = bent(x)
    """
    with pytest.raises(ArchitraveError, match=r"E957.*the choice `op` is made in a function that has a gradient"):
        switched(find_in_text(text).elaborate({}, keep_choices=True).graph)
