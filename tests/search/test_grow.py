"""Networks that grow by edits which keep their function: Cai and others (2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.passes import Select, apply
from architrave.search.study.grow import LABELS, Growth, grow
from architrave.search.study.policy import Episode, Policy, controller
from architrave.search.study.tree import EDITS, FEATURES, Edited, Tree, above, layers

NETWORK = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.norm import batch_norm

model Net()(image: [N, 1, 6, 6]) -> [N, 3] {
    x = image -> stem: conv2d(4, 3) -> norm: batch_norm -> relu
    x = x -> middle: conv2d(4, 3) -> relu -> grouped: conv2d(4, 1, groups = 2) -> relu
    return x -> global_avg_pool -> head: linear(3)
}
"""
DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def network() -> Edited:
    graph = architrave.loads(NETWORK)
    return Edited(graph, init(graph, 0, "float64"))


def tree(edited: Edited, only: str = "*", depth: int = 3) -> Tree:
    return Tree(edited.graph, Select.parse(only), depth)


def output(edited: Edited) -> Any:
    shape = [2 if not isinstance(size, int) else size for size in edited.graph.inputs[0].shape]
    x = np.random.default_rng(0).normal(size=shape)
    return interpret(edited.graph, [x], edited.weights).outputs[0]


def size(edited: Edited) -> int:
    return sum(w.size for w in edited.weights.values())


def in_branches(edited: Edited) -> float:
    """A reward that costs nothing to find: layers in the branches of the middle, less what the network has grown."""
    found = sum(path.startswith("middle.branch") for path in layers(edited.graph))
    return found - size(edited) / 1000


def judge(edited: Edited) -> tuple[float, Mapping[str, Any]]:
    return in_branches(edited), edited.weights


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_keeps_the_function(name: str) -> None:
    start = network()
    rows = zip(tree(start).places, tree(start).open, strict=True)
    places = [path for path, some in rows if some[EDITS.index(name)]]
    assert places
    for path in places:
        after = start.edit(path, name)
        assert size(after) > size(start) or name == "divide"
        assert after.graph != start.graph
        np.testing.assert_allclose(output(after), output(start), atol=1e-10, rtol=0)


def test_what_cannot_be_done_is_not_open() -> None:
    found = tree(network())
    open = {path: {name for name, may in zip(EDITS, some, strict=True) if may} for path, some in rows(found)}
    assert open == {
        "": set(),
        "stem": set(EDITS),
        "middle": set(EDITS),
        "grouped": set(EDITS) - {"divide", "split"},
        "head": set(EDITS) - {"widen"},
    }
    narrow = network().edit("middle", "divide").edit("middle.branch.0", "divide")
    last = dict(rows(tree(narrow)))["middle.branch.0.branch.0"]
    assert last[:3] == [True, False, False], "it has one filter"
    assert not any(dict(rows(tree(narrow, depth=2)))["middle.branch.0.branch.0"][:3])
    assert [*tree(network(), only="head").layers] == ["head"]


def rows(found: Tree) -> list[tuple[str, list[bool]]]:
    return [*zip(found.places, found.open.tolist(), strict=True)]


def test_what_is_branched_is_above_its_branches() -> None:
    found = tree(network().edit("middle", "replicate").edit("middle.branch.1", "divide").edit("stem", "deepen"))
    edges = {found.places[j]: found.places[i] for i, j in np.argwhere(found.below)}
    assert edges["middle.branch.0"] == edges["middle.branch.1"] == "middle"
    assert edges["middle.branch.1.branch.0"] == "middle.branch.1"
    assert edges["stem.deeper"] == "stem"
    assert edges["stem"] == edges["middle"] == above("head") == ""
    assert found.seen.shape == (len(found.places), FEATURES)
    assert found.seen[found.places.index("middle.branch.1"), 7] == 1, "its branches are concatenated"
    assert found.seen[found.places.index("middle"), 7] == 0, "and these are added"


def test_what_a_node_is_worth_depends_on_the_tree_around_it() -> None:
    graph = controller("tree_controller", len(LABELS), 8, f"seen: [N, T, {FEATURES}]", "below: [N, T, T]")
    found, policy = tree(network().edit("middle", "replicate")), Policy(graph, 0.05)
    open = np.column_stack([np.arange(len(found.places)) == 0, found.open]).reshape(1, -1)
    for chosen in np.flatnonzero(open)[:4]:
        policy.learn([Episode((found.seen, found.below), open, [int(chosen)])], 1.0)
    flat = found.below.copy()
    flat[0, 1:], flat[1:] = 1, 0
    assert not np.allclose(policy.odds(open, found.seen, found.below), policy.odds(open, found.seen, flat))


def test_a_search_finds_what_is_rewarded() -> None:
    """Late ones are better than early ones; it follows from its seed, and what it finds are passes."""
    start, how = network(), Growth(trials=40, edits=2, only="middle|grouped", rate=0.02)
    found = grow(start, judge, how)
    assert len(found.tried) == how.trials + 1
    assert found.reward == max(reward for _, reward in found.tried) >= 2
    rewards = [reward for _, reward in found.tried]
    assert np.mean(rewards[-15:]) > np.mean(rewards[:15]) + 0.5
    made = apply(start.graph, ",".join(found.network.edits))
    assert made.graph == found.network.graph
    np.testing.assert_allclose(output(found.network), output(start), atol=1e-10, rtol=0)
    assert grow(start, judge, replace(how, seed=1)).tried != found.tried


def test_a_search_that_was_cut_off_goes_on() -> None:
    answers: dict[tuple[str, ...], tuple[float, Mapping[str, Any]]] = {}
    asked = list[tuple[str, ...]]()

    def remembered(edited: Edited) -> tuple[float, Mapping[str, Any]]:
        if edited.edits not in answers:
            asked.append(edited.edits)
            if len(asked) == 8:
                raise KeyboardInterrupt
            answers[edited.edits] = judge(edited)
        return answers[edited.edits]

    how = Growth(trials=6, edits=2, phases=2)
    with pytest.raises(KeyboardInterrupt):
        grow(network(), remembered, how)
    found, whole = grow(network(), remembered, how), grow(network(), judge, how)
    assert (found.tried, found.reward) == (whole.tried, whole.reward)
    assert len(asked) == len({*asked}) + 1, "what was known is not asked for again"


def test_what_was_learnt_is_inherited() -> None:
    """Each network learns something; the second phase begins with what the best of the first has learnt."""
    begun: dict[tuple[str, ...], Mapping[str, Any]] = {}

    def learnt(edited: Edited) -> tuple[float, Mapping[str, Any]]:
        begun[edited.edits] = edited.weights
        return in_branches(edited), {**edited.weights, "head.bias": edited.weights["head.bias"] + 1}

    start = network()
    grow(start, learnt, Growth(trials=12, edits=1, phases=2, only="middle"))
    first, *later = start.weights["head.bias"], *begun.items()
    added = {key: weights["head.bias"] - first for key, weights in later}
    assert {float(change[0]) for key, change in added.items() if len(key) == 1 and "," not in key[0]} == {1}
    assert {float(change[0]) for key, change in added.items() if len(key) == 2} == {2}


def test_a_network_without_layers_to_edit_stays() -> None:
    found = grow(network(), judge, Growth(trials=3, only="nothing"))
    assert found.tried == (((), found.reward),) * 4
    assert found.network.edits == ()


def test_a_residual_network_grows() -> None:
    graph = architrave.load(DIGITS / "resnet.arch")
    start = Edited(graph, init(graph, 0, "float64"))
    same = output(start)

    def checked(edited: Edited) -> tuple[float, Mapping[str, Any]]:
        np.testing.assert_allclose(output(edited), same, atol=1e-10, rtol=0)
        return float(size(edited)), edited.weights

    found = grow(start, checked, Growth(trials=4, seed=2))
    assert size(found.network) > size(start)


def test_what_is_not_finite_has_failed() -> None:
    def broken(edited: Edited) -> tuple[float, Mapping[str, Any]]:
        return (float("nan") if len(edited.edits) > 1 else in_branches(edited)), edited.weights

    found = grow(network(), broken, Growth(trials=10, edits=2, only="middle"))
    assert -np.inf in [reward for _, reward in found.tried]
    assert len(found.network.edits) <= 1
    assert np.isfinite(found.reward)
