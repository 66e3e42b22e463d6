"""Policies that are networks: what they learn, and that it follows from the trials and the seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("optuna", reason="optuna is not installed")

from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.models import find_in_text
from architrave.search.space.costs import Costs
from architrave.search.space.feasible import Feasible
from architrave.search.study.policy import Baseline, Episode, Policy, controller
from architrave.search.study.reinforce import Reinforce
from architrave.search.study.strategies import Tried, Turn

SPACE = """from std.linear import linear

model Space()(x: [N, 4]) -> [N, 3] {
    first = choice first { few: 4, some: 8, many: 16 }
    second = choice second { few: 4, some: 8, many: 16 }
    deeper = choice deeper { no: false, yes: true }
    y = x -> a: linear(first) -> relu -> b: linear(second)
    if deeper {
        y = y -> c: linear(choice third { few: 4, some: 8, many: 16 })
    }
    return y -> head: linear(3)
}
"""
FAST = Reinforce(rate=0.02)


def feasible() -> Feasible:
    return Feasible(Costs(find_in_text(SPACE), {}, {"N": 1}))


def agree(member: dict[str, str]) -> float:
    """What no decision alone tells of: that all widths are the same."""
    widths = [label for path, label in member.items() if path != "deeper"]
    return float(len(set(widths)) == 1)


def test_decisions_learn_to_agree() -> None:
    """From every member equally often, so that no width is better than another.

    Policies of independent decisions would learn nothing of them, and two in three of what they draw would disagree.
    """
    space, rng = feasible(), np.random.default_rng(0)
    members = [space.costs.space.member(int(i)) for _ in range(12) for i in rng.permutation(space.costs.space.size)]
    past = [Tried(member, (agree(member),)) for member in members]
    learner = Reinforce().learner(Turn(space, rng, 0, past))
    drawn = [dict(learner.draw(rng)) for _ in range(60)]
    assert np.mean([agree(member) for member in drawn]) > 0.95
    for width in ("few", "some", "many"):
        member = {"first": width, "second": width, "deeper": "yes", "third": width}
        odds = learner.odds(member)
        assert odds["second"][width] > 0.9
        assert odds["third"][width] > 0.9
        assert 0.1 < odds["first"][width] < 0.7


def test_it_draws_what_exists_alone() -> None:
    space, rng = feasible(), np.random.default_rng(0)
    learner = Reinforce().learner(Turn(space, rng, 0, ()))
    drawn = [learner.draw(rng) for _ in range(40)]
    assert all(member in space.costs.space for member in drawn)
    assert {"third" in member for member in drawn} == {True, False}
    odds = learner.odds(drawn[0])
    assert [*odds] == [path for path in space.costs.space.labels if path in drawn[0]]
    assert all(share == pytest.approx(1 / len(some)) for some in odds.values() for share in some.values())


def test_what_is_kept_is_what_would_be_learnt_again() -> None:
    """A process that has seen all trials, one that begins in the middle, and one whose trials came in another order."""
    space = feasible()
    members = [space.costs.space.sample(np.random.default_rng(i)) for i in range(10)]
    past = [Tried(member, (agree(member) + i,)) for i, member in enumerate(members)]

    def odds(strategy: Reinforce, trials: list[Tried], seed: int = 0) -> dict[str, object]:
        return dict(strategy.learner(Turn(space, None, 0, trials, seed)).odds(members[0]))

    whole, kept = odds(replace(FAST), past), replace(FAST)
    for stop in (3, 4, 8, 10):
        found = odds(kept, past[:stop])
    assert found == whole
    assert odds(kept, past[::-1]) == odds(replace(FAST), past[::-1]) != whole
    assert odds(kept, past) == whole
    assert odds(replace(FAST), past, seed=1) != whole
    assert odds(kept, [Tried(members[0], None), *past]) == whole, "nothing is learnt from what has failed"


def test_the_search_finds_what_agrees_more_often_than_chance() -> None:
    space, strategy, past = feasible(), replace(FAST), list[Tried]()
    for slot in range(150):
        member = strategy.propose(Turn(space, np.random.default_rng([0, slot]), slot, past))
        past.append(Tried(member, (agree(dict(member)),)))
    assert np.mean([one.values[0] for one in past[-30:] if one.values]) > 0.7


def test_advantages_are_counted_from_what_was_known() -> None:
    baseline = Baseline(0.5)
    assert [baseline.advantage(x) for x in (3.0, 3.0, 5.0)] == pytest.approx([0, 0, 2 / np.std([3, 3, 5])])
    assert baseline.advantage(4.0) == 0, "the average is between 3 and 5 now"


def test_a_reward_raises_the_odds_and_entropy_holds_them_back() -> None:
    """The first step of Adam is as long as the rate, whatever the gradient."""
    graph = controller("sequence_controller", 3, 4, "seen: [N, T, 2]")
    one = Episode((np.eye(2),), np.array([[True, True, False], [True, True, True]]), [1, 0])
    for sign in (1, -1):
        policy = Policy(graph, 0.1)
        policy.learn([one], sign * 2.0)
        odds = policy.odds(one.open, *one.seen)
        assert (odds[0, 1] > 0.5) == (odds[1, 0] > 1 / 3) == (sign > 0)
        assert odds[0, 2] == 0
        np.testing.assert_allclose(odds.sum(1), 1)
    sure, unsure = (Policy(graph, 0.1, entropy) for entropy in (0.0, 5.0))
    for policy in (sure, unsure):
        for _ in range(20):
            policy.learn([one], 1.0)
    assert sure.odds(one.open, *one.seen)[0, 1] > unsure.odds(one.open, *one.seen)[0, 1] > 0.5


def test_states_of_a_tree_follow_from_what_is_below() -> None:
    """By hand, one node after another; with more turns than the tree is high nothing changes."""
    text = """from std.recurrent import tree_lstm
model M()(x: [N, T, 2], below: [N, T, T]) = (x, below) -> t: tree_lstm(3, {})
"""
    rng = np.random.default_rng(0)
    children = {0: [1, 2], 1: [], 2: [3, 4], 3: [], 4: []}
    x, below = rng.normal(size=(1, 5, 2)), np.zeros((1, 5, 5))
    for node, some in children.items():
        below[0, node, some] = 1
    graphs = [find_in_text(text.format(height)).elaborate({}).graph for height in (3, 5)]
    weights = {path: rng.normal(size=w.shape) for path, w in init(graphs[0], 0, "float64").items()}
    ih, hh, fh, b = (weights[f"t.{name}"] for name in ("weight_ih", "weight_hh", "weight_fh", "bias"))

    def sigmoid(v: Any) -> Any:
        return 1 / (1 + np.exp(-v))

    states: dict[int, tuple[Any, Any]] = {}
    for node in (4, 3, 2, 1, 0):
        given = np.split(ih @ x[0, node] + b, 4)
        total = sum((states[child][0] for child in children[node]), np.zeros(3))
        i, o, g = (own + sums for own, sums in zip(given, np.split(hh @ total, 3), strict=False))
        c = sigmoid(i) * np.tanh(g)
        for child in children[node]:
            h, before = states[child]
            c = c + sigmoid(given[3] + fh @ h) * before
        states[node] = (sigmoid(o) * np.tanh(c), c)
    wanted = np.stack([states[node][0] for node in range(5)])
    for graph in graphs:
        np.testing.assert_allclose(interpret(graph, [x, below], weights).outputs[0][0], wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("block", "inputs", "read"),
    [
        ("sequence_controller", ["seen: [N, T, 2]"], {0: {0, 1, 2, 3}, 2: {2, 3}}),
        ("layer_controller", ["seen: [N, T, 2]"], {0: {0, 1, 2, 3}, 2: {0, 1, 2, 3}}),
        ("tree_controller", ["seen: [N, T, 2]", "below: [N, T, T]"], {0: {0, 1, 2, 3}, 2: {0, 1, 2, 3}}),
    ],
)
def test_what_each_controller_reads(block: str, inputs: list[str], read: dict[int, set[int]]) -> None:
    """At which decisions scores change where one of what is seen does."""
    graph, rng = controller(block, 3, 4, *inputs), np.random.default_rng(0)
    weights = {path: rng.normal(size=w.shape) for path, w in init(graph, 0, "float64").items()}
    below = np.zeros((1, 4, 4))
    below[0, 0, [1, 2]] = below[0, 2, 3] = 1

    def scores(seen: Any) -> Any:
        given = [seen[None], below][: len(inputs)]
        return interpret(graph, given, weights).outputs[0].reshape(4, 3)

    seen = rng.normal(size=(4, 2))
    for place, changed in read.items():
        other = seen.copy()
        other[place] += 1
        assert {int(i) for i in np.flatnonzero((scores(other) != scores(seen)).any(1))} == changed
