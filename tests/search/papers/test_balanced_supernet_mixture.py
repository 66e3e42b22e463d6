"""Where ResNet20 pools: the space of Javan, Toews and Pedersoli (2023)."""

from __future__ import annotations

from math import comb

from architrave.models import find
from architrave.search.space.costs import Costs
from tests.search.spaces import costs

WHOLE = Costs(find("PoolingSpace"), {}, {"N": 1})


def test_two_of_nine_blocks_pool() -> None:
    placements = {member["pooled"] for member in WHOLE.space}
    assert len(placements) == WHOLE.space.size == comb(9, 2) == 36
    assert placements == {f"b{i}b{j}" for j in range(9) for i in range(j)}


def test_every_placement_has_types_that_fit() -> None:
    small = costs("PoolingSpace")
    small.check()
    assert all(small.member_graph(member).outputs[0].shape[1] == 5 for member in small.space)


def test_placements_share_their_weights() -> None:
    """Which costs the same parameters, but less the earlier it pools."""
    first, usual, last = ({"pooled": label} for label in ("b0b1", "b3b6", "b7b8"))
    weights = [{str(weight.op) for weight in WHOLE.member_graph(member).weights} for member in (first, usual, last)]
    assert weights[0] == weights[1] == weights[2]
    assert {WHOLE.of(member)["params"] for member in (first, usual, last)} == {269_722}
    macs = [WHOLE.of(member)["macs"] for member in (first, usual, last)]
    assert macs == sorted(macs)
    assert len({*macs}) == 3
