"""Networks that are nested in one another, in all dimensions at once: Valipour and others (2023)."""

from __future__ import annotations

from typing import Any

import numpy as np

from architrave.ir.cost import parameters
from tests.search.elastic import drawn, output, slices

NESTED = """
from std.linear import linear
from std.norm import layer_norm

block Layer(width: int, rank: int)(x: [N, C]) -> [N, C] {
    y = x -> norm: layer_norm -> down: linear(rank, bias = false) -> up: linear(width) -> relu
    return x + (y -> back: linear(C))
}

model Nested(classes: int = 3)(x: [N, 6]) -> [N, classes] {
    width = choice width { w4: 4, w6: 6, w8: 8, w12: 12, w16: 16 }
    hidden = choice hidden { h8: 8, h12: 12, h16: 16, h24: 24 }
    rank = choice rank { r2: 2, r4: 4 }
    depth = choice depth { d1: 1, d2: 2, d3: 3, d4: 4 }
    x = x -> embed: linear(width)
    for i in 0..depth {
        x = x -> layer[i]: Layer(hidden, rank)
    }
    return x -> norm: layer_norm -> head: linear(classes)
}
"""
"""Width, hidden width, rank and depth: 5 * 4 * 2 * 4 networks in one."""

FOUND = slices(NESTED)
WEIGHTS = drawn(FOUND)


def test_160_networks_are_nested_in_one() -> None:
    members = [*FOUND.costs.space]
    assert len(members) == len({tuple(member.items()) for member in members}) == 160
    stored = sum(w.size for w in WEIGHTS.values())
    assert stored == FOUND.costs.of(FOUND.largest)["params"] == parameters(FOUND.network(FOUND.largest))


def test_every_weight_is_the_first_rows_and_columns_of_the_largest() -> None:
    rng: Any = np.random.default_rng(0)
    for member in (FOUND.costs.space.sample(rng) for _ in range(12)):
        for path, w in FOUND.weights(member, WEIGHTS).items():
            np.testing.assert_array_equal(w, WEIGHTS[path][tuple(map(slice, w.shape))])


def test_a_network_cut_out_equals_the_sliced_supernet() -> None:
    rng: Any = np.random.default_rng(1)
    x = rng.standard_normal((3, 6))
    for member in [FOUND.smallest, *(FOUND.costs.space.sample(rng) for _ in range(6))]:
        child = FOUND.child(member, WEIGHTS)
        masks = FOUND.masks(member)
        masked = output(FOUND.masked(member), {path: w * masks[path] for path, w in WEIGHTS.items()}, x)
        np.testing.assert_allclose(output(child.graph, dict(child.weights), x), masked, rtol=1e-10, atol=1e-10)
