"""NASNet: Zoph, Vasudevan, Shlens and Le (2017)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import architrave
from architrave.ir.cost import multiply_adds, parameters
from architrave.ir.ops.leaves import path_of
from architrave.models import find
from architrave.search.space.members import Space
from tests.search.spaces import costs


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [("NASNetAMobile", 5_289_978, 564e6), ("NASNetALarge", 88_753_150, 23.8e9)],
)
def test_published_counts(name: str, params: int, macs: float) -> None:
    graph = architrave.load(name)
    assert parameters(graph) == params
    assert multiply_adds(graph, {"N": 1}) == pytest.approx(macs, rel=0.001)


@pytest.mark.slow
def test_size_of_the_space() -> None:
    """Blocks take two of all states before them, each through one of 13 operations, and add or concatenate them."""
    space = Space.of(find("NASNetSpace"), {"blocks": 2, "depth": 1, "size": 33})
    assert space.size == (2**2 * 3**2 * 13**4 * 2**2) ** 2


def test_states_that_no_block_takes_are_given() -> None:
    """A normal cell of one block gives the block, and what the block does not take."""
    found = costs("NASNetSpace")
    plain = {path: "keep" for path in found.space.labels if path.startswith("operation")}
    for left, right, states in (("h0", "h1", 1), ("h0", "h0", 2), ("h1", "h1", 2)):
        member = found.space.decided({**plain, "input.0": left, "input.1": right})
        head = {str(w.op.path): w.shape for w in found.member_graph(member).weights}["last_linear.weight"]  # type: ignore[attr-defined]  # a weight
        assert head[1] == states * 4 * found.arguments["width"]


def test_blocks_add_their_sides_or_concatenate_them() -> None:
    found = costs("NASNetSpace")
    plain = {path: "keep" for path in found.space.labels if path.startswith("operation")}
    for how, channels in (("add", 1), ("concat", 2)):
        member = found.space.decided({**plain, "input.0": "h0", "input.1": "h1", "combine.0": how})
        head = {str(w.op.path): w.shape for w in found.member_graph(member).weights}["last_linear.weight"]  # type: ignore[attr-defined]  # a weight
        assert head[1] == channels * 4 * found.arguments["width"]


def test_a_second_classifier_learns_from_the_middle() -> None:
    small = {"classes": 5, "depth": 1, "stem": 4, "width": 4, "size": 96}
    whole, alone = (architrave.load("NASNetAMobile", **small, aux=aux) for aux in (True, False))
    scores, middle = whole.outputs
    assert middle.type == scores.type
    weights = tuple(weight for weight in whole.weights if not path_of(weight).startswith("aux_head."))
    updates = tuple((old, new) for old, new in whole.updates if old in weights)
    assert len(weights) < len(whole.weights)
    assert replace(whole, outputs=(scores,), weights=weights, updates=updates) == alone


STEPS = 4


def test_drop_path_is_scheduled() -> None:
    text = (
        "from std.nasnet import scheduled_drop_path\n"
        f"model M()(x: [N, 2]) = x -> path: scheduled_drop_path(0.5, {STEPS})\n"
    )
    graph = architrave.loads(text)
    x = np.ones((4_000, 2))
    weights = {"path.seen": np.zeros(())}
    for step in range(6):
        result = architrave.interpret(graph, [x], weights, training=True, key=(0, step))
        keep = 1 - 0.5 * min(step / STEPS, 1.0)
        (y,) = result.outputs
        assert {*np.unique(y)} <= {0.0, 1 / keep}
        assert (y[:, 0] == y[:, 1]).all()
        assert (y > 0).mean() == pytest.approx(keep, abs=0.03)
        weights = dict(result.updates)
    np.testing.assert_array_equal(architrave.interpret(graph, [x], weights).outputs[0], x)


def test_deeper_branches_are_dropped_more_often() -> None:
    small = {"classes": 5, "depth": 1, "stem": 4, "width": 8, "size": 33}
    text = str(architrave.load("NASNetALarge", **small, drop_path=0.5, steps=1))
    rates = [0.5 * (n + 1) / 7 for n in range(7)]
    assert all(f"op.full(value = {rate!r}, shape = [])" in text for rate in rates)
