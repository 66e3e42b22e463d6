"""`optin`: the slices of a transformer are those of its mask, the budget is used up, what nothing reads is worth 0."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.axes.groups import groups
from architrave.ir.cost import flops
from architrave.prune import Plan, cost, prune
from architrave.prune.methods import scores
from architrave.prune.plan import Task
from architrave.prune.select import removals
from tests.prune.networks import distance, examples, weights_of
from tests.stdlib.small import SMALL

PLAN = Plan(keep=0.7, method="optin", backend="numpy", examples=4, batch=2)


@pytest.mark.parametrize("name", ["ViTS16", "ResNet18"])
def test_a_pruned_network(name: str) -> None:
    network = architrave.load(name, **SMALL[name])
    weights, data = weights_of(network), examples(network)
    found = prune(network, weights, PLAN, data)
    assert distance(found, weights) < 1e-10
    budget = PLAN.keep * flops(network, found.sizes)
    assert flops(found.graph, found.sizes) <= budget
    # With the unit that went last, the highest in the ranking that does, it would cost more.
    known = groups(network)
    ranked = {known.by_name[part.name]: part.scores for part in found.parts}
    order = removals(ranked, PLAN, "none")
    gone = sum(part.size - len(part.kept) for part in found.parts)
    price = cost.multiply_adds(known, order.groups, found.sizes)
    assert order.sizes(gone).tolist() == [len(part.kept) for part in found.parts]
    assert 2 * price(order.sizes(gone)) <= budget < 2 * price(order.sizes(gone - 1))


def test_a_unit_that_nothing_reads_is_worth_nothing() -> None:
    network = architrave.load("ViTS16", **SMALL["ViTS16"])
    weights = weights_of(network)
    weights["layer.0.mlp.fc2.weight"][:, 3] = 0
    weights["layer.1.attention.out_proj.weight"][:, :6] = 0
    known = groups(network)
    units, heads = (known.by_name[name] for name in ("layer.0.mlp.fc1.weight:0", "layer.1.attention.q_proj.weight:0.0"))
    found = scores(Task(known, (units, heads), weights, PLAN, examples(network)))
    assert np.flatnonzero(found[units] == 0).tolist() == [3]
    assert np.flatnonzero(found[heads] == 0).tolist() == [0]
