"""Merging affine maps: the same function, never larger, nothing left to merge, in whatever order the rules stand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, seed, settings

from architrave.ir import cost
from architrave.ir.interpret import interpret
from architrave.passes import Journal, apply, rewrite
from architrave.passes.reparam.merge import rules
from tests.passes.affine_graphs import Drawn, affine_graphs

SHARES = 20
"""The graphs are drawn in as many tests, so that several processes share them."""


@pytest.mark.hypothesis
@pytest.mark.parametrize("share", range(SHARES))
def test_merged_graphs_are_equal_never_larger_and_merged_for_good(share: int) -> None:
    @given(affine_graphs())
    def check(case: Drawn) -> None:
        merged = apply(case.graph, "reparam,hoist")
        wanted = interpret(case.graph, [case.input], case.weights).outputs
        found = interpret(merged.graph, [case.input], merged.weights(case.weights)).outputs
        for a, b in zip(found, wanted, strict=True):
            shown = f"{case.graph}\n{merged.graph}"
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * max(1.0, np.abs(b).max(initial=0.0)), err_msg=shown)
        assert cost.parameters(merged.graph) <= cost.parameters(case.graph)
        assert cost.multiply_adds(merged.graph) <= cost.multiply_adds(case.graph)
        again = apply(merged.graph, "reparam,hoist")
        assert again.graph == merged.graph, again.journal.changes

    (seed(share)(check) if settings().derandomize else check)()


@pytest.mark.hypothesis
@given(affine_graphs())
@settings(max_examples=100)
def test_the_order_of_rules_does_not_matter(case: Drawn) -> None:
    first, *others = itertools.permutations(rules())
    wanted = _cost(case, first)
    for order in others[:: len(others) // 5]:
        assert _cost(case, order) == wanted


def _cost(case: Drawn, order: tuple) -> tuple:
    merged = apply(rewrite(case.graph, order, Journal()), "hoist").graph
    operators = sorted(node.op.name for node in merged.nodes)
    return operators, cost.parameters(merged), cost.multiply_adds(merged)
