"""What operators say of axes holds on their own samples, in the oracle: for permutations, and for cuts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS, Sample
from tests.ir.apply import applied
from tests.ir.axes.laws import Choice, cuts, free, permutations
from tests.ir.test_ops import GOOD, named


def run(graph: Graph, arrays: Iterable[Array]) -> tuple[Array, ...]:
    with np.errstate(all="ignore"):
        return interpret(graph, [*arrays]).outputs


def given(name: str, sample: Sample) -> tuple[Graph, dict[Value, Array]]:
    graph = applied(OPS[name](**sample.attributes), sample.types)
    return graph, dict(zip(graph.inputs, sample.draw(), strict=True))


@pytest.mark.parametrize(("name", "sample"), GOOD, ids=named(GOOD))
def test_permuted_operands_give_permuted_results(name: str, sample: Sample) -> None:
    graph, arrays = given(name, sample)
    before = dict(zip(graph.outputs, run(graph, arrays.values()), strict=True))
    groups = free(graph)
    for units in permutations(groups):
        choice = Choice(groups, units)
        after = run(graph, choice.taken(arrays).values())
        for new, wanted in zip(after, choice.taken(before).values(), strict=True):
            np.testing.assert_allclose(new, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "sample"), GOOD, ids=named(GOOD))
def test_cut_operands_give_what_zeros_there_give(name: str, sample: Sample) -> None:
    graph, arrays = given(name, sample)
    groups = free(graph)
    for units in cuts(groups):
        choice = Choice(groups, units)
        before = dict(zip(graph.outputs, run(graph, choice.masked(arrays).values()), strict=True))
        after = run(choice.graph(), choice.taken(arrays).values())
        for new, wanted in zip(after, choice.taken(before).values(), strict=True):
            np.testing.assert_allclose(new, wanted, rtol=1e-9, atol=1e-9)
