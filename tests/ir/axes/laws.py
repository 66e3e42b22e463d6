"""What must hold of the dimensions of any graph, with inputs and outputs free to change: permuted and cut numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.axes.axis import Axis, leaves, same
from architrave.ir.axes.groups import Group, Groups
from architrave.ir.axes.places import selected
from architrave.ir.axes.relations import axes_of
from architrave.ir.axes.rest import Coordinates
from architrave.ir.axes.restrict import restricted
from architrave.ir.axes.scope import scope
from architrave.ir.graph import Graph, Value

Numbers = Mapping[Value, Array]
"""The arrays of inputs, weights or outputs."""


def free(graph: Graph) -> Groups:
    """The dimensions of a graph whose inputs are taken for weights, and whose outputs may have any shape."""
    given = [axes_of(v.type) for v in graph.inputs]
    found = scope(graph, given, [True] * len(given))
    for old, new in graph.updates:
        for a, b in zip(found.axes[old], found.axes[new], strict=True):
            same(a, b, "it is a state")
    return Groups(graph, found)


def dimensions(groups: Groups) -> list[Axis]:
    """The dimensions of inputs and weights that have units to permute or to cut."""
    axes = (axis for v in (*groups.graph.inputs, *groups.graph.weights) for axis in groups.scope.axes[v])
    found = dict.fromkeys(leaf for axis in axes for leaf in leaves(axis))
    return [leaf for leaf in found if isinstance(leaf.size, int) and leaf.size > 1]


def permutations(groups: Groups) -> Iterator[dict[Axis, Coordinates]]:
    """Each dimension that can be permuted, permuted."""
    return ({leaf: np.roll(np.arange(leaf.size), 1)} for leaf in dimensions(groups) if not leaf.ordered)


def cuts(groups: Groups) -> Iterator[dict[Axis, Coordinates]]:
    """Each dimension that can be cut, without its first unit."""
    return ({leaf: np.arange(1, leaf.size)} for leaf in dimensions(groups) if not leaf.whole)


@dataclass(frozen=True)
class Choice:
    """Units of dimensions, and what they make of graphs and arrays."""

    groups: Groups
    units: dict[Axis, Coordinates]

    def graph(self) -> Graph:
        """The graph with these units alone."""
        return restricted(self.groups, {Group(leaf, ()): units for leaf, units in self.units.items()})

    def taken(self, arrays: Numbers) -> dict[Value, Array]:
        """The arrays with these units alone, in their order."""
        return {value: self._taken(value, array) for value, array in arrays.items()}

    def masked(self, arrays: Numbers) -> dict[Value, Array]:
        """The arrays with zeros at all other units."""
        return {value: self._masked(value, array) for value, array in arrays.items()}

    def _taken(self, value: Value, array: Array) -> Array:
        for i, places in self._places(value):
            array = np.take(array, places, i)
        return array

    def _masked(self, value: Value, array: Array) -> Array:
        array = array.copy()
        for i, places in self._places(value):
            gone = np.setdiff1d(np.arange(array.shape[i]), places)
            array[(slice(None),) * i + (gone,)] = 0
        return array

    def _places(self, value: Value) -> Iterator[tuple[int, Coordinates]]:
        for i, axis in enumerate(self.groups.scope.axes[value]):
            places = selected(axis, self.units)
            if places is not None:
                yield i, places
