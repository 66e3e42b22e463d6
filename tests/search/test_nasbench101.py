"""NAS-Bench-101: 423,624 cells up to isomorphism, of which the space here recognises those of few vertices."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from architrave.ir.arrays import Array
from architrave.ir.cost import parameters
from architrave.models import find
from architrave.search.space.canonical import COMMUTATIVE, Canonical
from architrave.search.space.costs import Costs
from architrave.search.space.feasible import Feasible

PUBLISHED = {2: 1, 3: 7, 4: 91, 5: 2_532, 6: 64_542, 7: 423_624}
"""How many cells of up to so many vertices there are, with at most nine edges."""
OPERATIONS = 3


def bit(i: int, j: int) -> int:
    return j * (j - 1) // 2 + i


def test_parameters_of_the_published_example() -> None:
    rows = [[1, 2, 3, 5], [6], [6], [4], [6], [6]]
    operations = ["conv1x1", "conv3x3", "conv3x3", "conv3x3", "pool"]
    member = {f"edge.{bit(i, j)}": "yes" if j in rows[i] else "no" for j in range(1, 7) for i in range(j)}
    member |= {f"operation.{i}": label for i, label in enumerate(operations)}
    assert parameters(find("NASBench101").elaborate({}, member).graph) == 2_694_282


def unique(vertices: int) -> int:
    """Cells of at most so many vertices, as the space has them. Sums of channels that all divisors share."""
    found = Costs(find("NASBench101"), {"vertices": vertices, "width": 12, "depth": 1, "size": 8}, {"N": 1})
    feasible = Feasible(found)
    kept = [member for member in found.space if not feasible.broken(member)]
    return len(Canonical(found, COMMUTATIVE | {"concat"}).unique(kept))


@pytest.mark.parametrize("vertices", [2, 3, 4])
def test_unique_cells(vertices: int) -> None:
    assert unique(vertices) == PUBLISHED[vertices]


@pytest.mark.slow
def test_unique_cells_of_five_vertices() -> None:
    assert unique(5) == PUBLISHED[5]


def whole(count: int) -> Array:
    """Every matrix of `count` vertices in which all are on a way from the first to the last, as `[M, count, count]`."""
    pairs = [(i, j) for j in range(1, count) for i in range(j)]
    codes = np.arange(2 ** len(pairs))
    edges = np.zeros((len(codes), count, count), bool)
    for k, (i, j) in enumerate(pairs):
        edges[:, i, j] = codes >> k & 1
    few = edges.sum(axis=(1, 2)) <= 9
    # In an order of the vertices from the first to the last, all are on a way if each has an edge in and one out.
    full = edges[:, :-1].any(axis=2).all(axis=1) & edges[:, :, 1:].any(axis=1).all(axis=1)
    return edges[few & full]


def cells(count: int) -> int:
    """Cells of exactly `count` vertices: for each graph the ways to give operations, by the lemma of Burnside."""
    edges = whole(count)
    orders = [(0, *(p + 1 for p in order), count - 1) for order in permutations(range(count - 2))]
    weights = (1 << np.arange(count * count, dtype=np.int64)).reshape(count, count)
    forms = np.stack([(edges[:, order][:, :, order] * weights).sum(axis=(1, 2)) for order in orders])
    _, first = np.unique(forms.min(axis=0), return_index=True)
    total = 0
    for graph in first:
        same = [order for order, form in zip(orders, forms[:, graph], strict=True) if form == forms[0, graph]]
        total += sum(OPERATIONS ** cycles(order) for order in same) // len(same)
    return total


def cycles(order: tuple[int, ...]) -> int:
    """How many cycles a permutation has, but for the first and the last vertex, which stay."""
    open_, found = {*range(1, len(order) - 1)}, 0
    while open_:
        at = open_.pop()
        found += 1
        while order[at] in open_:
            at = order[at]
            open_.remove(at)
    return found


@pytest.mark.parametrize("vertices", PUBLISHED)
def test_published_counts(vertices: int) -> None:
    assert sum(cells(count) for count in range(2, vertices + 1)) == PUBLISHED[vertices]
