"""Path-level transformation: the space of trees, searched by a recurrent policy: Cai and others (2018).

Edits that keep the function are in tests/search/test_grow.py, and the passes in tests/sparsify/papers.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optuna", reason="optuna is not installed")

from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.ir.verify import verify
from architrave.models import find, find_in_text
from architrave.search.space.members import Space
from architrave.search.study.run import Search, Worker
from architrave.search.study.settings import Settings

LEAVES = ("skip", "conv1x1", "separable3", "separable5", "separable7", "average3", "largest3")
NETWORK = """from std.conv import conv2d, global_avg_pool
from std.linear import linear
from std.path_level import path_tree

model Trees(depth: int = 2)(image: [N, 1, 6, 6]) -> [N, 3] {
    return image -> stem: conv2d(8, 3) -> cell: path_tree(depth) -> global_avg_pool -> head: linear(3)
}
"""


@pytest.fixture
def trees(tmp_path: Path) -> str:
    (tmp_path / "trees.arch").write_text(NETWORK, encoding="utf-8")
    return str(tmp_path / "trees.arch")


def test_trees_are_counted() -> None:
    sizes = [Space.of(find_in_text(NETWORK), {"depth": depth}).size for depth in range(3)]
    assert sizes == [7, 105, 22_057]
    assert all(after == 7 + 2 * before**2 for before, after in pairwise(sizes))


def test_leaves_are_those_that_were_declared() -> None:
    space = Space.of(find_in_text(NETWORK))
    assert {labels for path, labels in space.labels.items() if path.endswith("layer")} == {LEAVES}
    assert {labels for path, labels in space.labels.items() if path.endswith("node")} == {("leaf", "add", "concat")}


@pytest.mark.parametrize("seed", range(6))
def test_every_tree_is_a_network(seed: int) -> None:
    named, rng = find_in_text(NETWORK), np.random.default_rng(seed)
    member = Space.of(named).sample(rng)
    graph = verify(named.elaborate({}, member).graph)
    found = interpret(graph, [rng.normal(size=(2, 1, 6, 6))], init(graph, 0, "float64")).outputs[0]
    assert found.shape == (2, 3)
    assert np.isfinite(found).all()


def test_a_policy_that_reads_the_tree_searches_it(trees: str) -> None:
    """What costs little is found: later members cost less than early ones."""
    options = {"rate": 0.02}
    given = Settings(trees, objectives=("macs",), strategy="reinforce", options=options, trials=40, backend="numpy")
    with Search.of(given) as search:
        Worker(search).run()
        costs = [one.values["macs"] for one in search.results()]
        members = [one.member for one in search.results()]
    space = Space.of(find(trees))
    assert all(member in space for member in members)
    assert np.median(costs[-10:]) < np.median(costs[:10])
