"""Cai, Yang, Zhang, Han and Yu, "Path-Level Network Transformation for Efficient Architecture Search" (2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.backends.agree.equal import equal
from architrave.backends.arch import write
from architrave.ir.cost import parameters
from architrave.ir.graph import Graph
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.join import Concat
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from architrave.passes import Pipeline, apply

NETWORK = """
from std.conv import conv2d, global_avg_pool, max_pool
from std.linear import linear
from std.norm import batch_norm

model Net()(image: [N, 3, 8, 8]) -> [N, 5] {
    x = image -> stem: conv2d(6, 3) -> bn1: batch_norm -> relu
    x = x -> body: conv2d(6, 3, groups = 2) -> bn2: batch_norm -> relu
    x = x + (x -> tail: conv2d(6, 1) -> relu)
    return x -> max_pool(2) -> global_avg_pool -> head: linear(5)
}
"""
STEPS = [
    "branch{only=op:conv merge=add}",
    "branch{only=op:conv merge=concat count=3}",
    "branch{only=op:linear merge=concat}",
    "branch{only=op:relu edges=values merge=add}",
    "branch{only=op:relu edges=values merge=concat}",
    "deepen{kernel=1}",
    "deepen{only=op:slice|op:add bare=true}",
    "widen{factor=1.5 spread=0.5},hoist",
    "widen{factor=1.3 seed=3}",
]


def graph() -> Graph:
    return architrave.loads(NETWORK)


def leaves(graph: Graph) -> list[str]:
    return [str(node.place) for node in graph.nodes if isinstance(node.op, Conv)]


@pytest.mark.parametrize("seed", range(4))
def test_any_chain_of_transforms_keeps_the_function(seed):
    rng: Any = np.random.default_rng(seed)
    chain = ",".join(rng.choice(STEPS, 4))
    made = apply(graph(), chain)
    found = equal(graph(), made.graph, weights_b=made.weights, seeds=1)
    assert found.ok, (chain, str(found))
    assert found.tolerance <= 1e-10
    assert len(made.graph.nodes) > len(graph().nodes)
    again = find_in_text(write(made.graph)).elaborate({}).graph
    assert again == made.graph


def test_replication_adds_copies_and_divides_by_their_number():
    made = apply(graph(), "branch{only=tail count=3}")
    assert leaves(made.graph) == ["stem", "body", "tail.branch.0", "tail.branch.1", "tail.branch.2"]
    assert parameters(made.graph) == parameters(graph()) + 2 * 42
    weights = architrave.init(graph())
    new = made.weights(weights)
    assert all(np.array_equal(new[f"tail.branch.{i}.weight"], weights["tail.weight"]) for i in range(3))
    assert "tail.weight" not in new


def test_splits_share_out_the_filters():
    made = apply(graph(), "branch{only=tail merge=concat count=4}")
    weights = architrave.init(graph())
    new = made.weights(weights)
    parts = [new[f"tail.branch.{i}.weight"] for i in range(4)]
    assert [len(part) for part in parts] == [1, 2, 1, 2]
    np.testing.assert_array_equal(np.concatenate(parts), weights["tail.weight"])
    assert parameters(made.graph) == parameters(graph())


def test_the_leaves_of_a_tree_are_those_that_were_asked_for():
    once = apply(graph(), "branch{only=tail count=2 merge=concat}").graph
    twice = apply(once, "branch{only=tail.branch.0 count=3}").graph
    thrice = apply(twice, "branch{only=tail.branch.0.branch.2 count=2}").graph
    wanted = [f"tail.branch.0.branch.{i}" for i in range(2)]
    wanted += [f"tail.branch.0.branch.2.branch.{i}" for i in range(2)]
    assert sorted(leaves(thrice)) == sorted(["stem", "body", *wanted, "tail.branch.1"])
    assert sum(isinstance(node.op, Concat) for node in thrice.nodes) == 1


def test_a_branch_of_an_identity_grows_layers_of_its_own():
    made = apply(graph(), "branch{only=op:relu&!stem edges=values merge=concat},deepen{only=op:slice bare=true}")
    found = equal(graph(), made.graph, weights_b=made.weights, seeds=1)
    assert found.ok
    deeper = [w for w in made.graph.weights if path_of(w).startswith("deeper") and path_of(w).endswith("weight")]
    assert {w.shape for w in deeper} == {(3, 3, 3, 3)}


def test_grouped_convolutions_are_not_split():
    made = apply(graph(), "branch{only=body merge=concat}")
    assert made.graph == graph()
    assert [entry.reason for entry in made.journal.declined] == ["its 6 channels are not divided among 2 branches"]


@pytest.mark.parametrize(
    ("passes", "message"),
    [
        ("branch{count=1}", r"E803.*takes 2 branches and more, not 1"),
        ("deepen{kernel=2}", r"E803.*takes an odd size, not 2"),
        ("widen{factor=0.5}", r"E803.*`widen` takes a factor from 1"),
        ("widen{only=stem.weights:0}", r"E920.*no dimension is called `stem.weights:0`"),
    ],
)
def test_what_is_refused(passes, message):
    with pytest.raises(ArchitraveError, match=message):
        Pipeline.parse(passes).run(graph())
