"""What operators say of axes holds on their own samples, in the oracle: for permutations, and for cuts."""

from collections.abc import Iterator

import numpy as np
import pytest

from architrave.ir.arrays import Array
from architrave.ir.axes.axis import Axis, leaves
from architrave.ir.axes.groups import Group, Groups
from architrave.ir.axes.places import selected
from architrave.ir.axes.relations import axes_of
from architrave.ir.axes.rest import Coordinates
from architrave.ir.axes.restrict import restricted
from architrave.ir.axes.scope import scope
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import interpret
from architrave.ir.op import OPS, Sample
from tests.ir.apply import applied
from tests.ir.test_ops import GOOD, named


def known(groups: Groups) -> Iterator[Axis]:
    """The dimensions of the operands, those with units to cut."""
    axes = (axis for v in groups.graph.inputs for axis in groups.scope.axes[v])
    found = dict.fromkeys(leaf for axis in axes for leaf in leaves(axis))
    return (leaf for leaf in found if isinstance(leaf.size, int) and leaf.size > 1)


def related(name: str, sample: Sample) -> Groups:
    """The axes of an operator whose operands are all taken for weights."""
    graph = applied(OPS[name](**sample.attributes), sample.types)
    given = [axes_of(v.type) for v in graph.inputs]
    return Groups(graph, scope(graph, given, [True] * len(given)))


def chosen(groups: Groups, value: Value, array: Array, leaf: Axis, units: Coordinates) -> Array:
    """What a value keeps of a dimension."""
    for i, axis in enumerate(groups.scope.axes[value]):
        places = selected(axis, {leaf: units})
        array = array if places is None else np.take(array, places, i)
    return array


def masked(groups: Groups, value: Value, array: Array, leaf: Axis, units: Coordinates) -> Array:
    """Zeros at the units of a dimension that are not kept."""
    array = array.copy()
    for i, axis in enumerate(groups.scope.axes[value]):
        places = selected(axis, {leaf: units})
        if places is not None:
            gone = np.setdiff1d(np.arange(array.shape[i]), places)
            array[(slice(None),) * i + (gone,)] = 0
    return array


def run(graph: Graph, arrays: list[Array]) -> tuple[Array, ...]:
    with np.errstate(all="ignore"):
        return interpret(graph, arrays).outputs


@pytest.mark.parametrize(("name", "sample"), GOOD, ids=named(GOOD))
def test_permuted_operands_give_permuted_results(name: str, sample: Sample) -> None:
    groups = related(name, sample)
    arrays = sample.draw()
    before = run(groups.graph, list(arrays))
    for leaf in known(groups):
        if leaf.ordered:
            continue
        units = np.roll(np.arange(leaf.size), 1)
        inputs = [chosen(groups, v, x, leaf, units) for v, x in zip(groups.graph.inputs, arrays, strict=True)]
        for value, old, new in zip(groups.graph.outputs, before, run(groups.graph, inputs), strict=True):
            wanted = chosen(groups, value, old, leaf, units)
            np.testing.assert_allclose(new, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "sample"), GOOD, ids=named(GOOD))
def test_cut_operands_give_what_zeros_there_give(name: str, sample: Sample) -> None:
    groups = related(name, sample)
    arrays = sample.draw()
    for leaf in known(groups):
        if leaf.whole:
            continue
        units = np.arange(1, leaf.size)
        pairs = list(zip(groups.graph.inputs, arrays, strict=True))
        before = run(groups.graph, [masked(groups, v, x, leaf, units) for v, x in pairs])
        smaller = restricted(groups, {Group(leaf, ()): units})
        after = run(smaller, [chosen(groups, v, x, leaf, units) for v, x in pairs])
        for value, old, new in zip(groups.graph.outputs, before, after, strict=True):
            np.testing.assert_allclose(new, chosen(groups, value, old, leaf, units), rtol=1e-9, atol=1e-9)
