"""On every standard network: permuting any dimension changes nothing, and cutting is what zero weights are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import architrave
from architrave.backends.agree.trial import trial
from architrave.ir.arrays import Array
from architrave.ir.axes.groups import Group, Groups, groups
from architrave.ir.axes.restrict import restricted, taken
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.mode import specialize
from tests.stdlib.small import SMALL


@dataclass
class Network:
    """A network in float64 with numbers for everything."""

    found: Groups
    inputs: tuple[Array, ...]
    weights: dict[str, Array]

    def outputs(self, graph: Graph, weights: dict[str, Array]) -> tuple[Array, ...]:
        return interpret(graph, self.inputs, weights).outputs

    def masked(self, chosen: dict[Group, Array]) -> dict[str, Array]:
        """Zeros where units of the chosen groups are cut, in all weights that learn."""
        new = {path: array.copy() for path, array in self.weights.items()}
        for group, units in chosen.items():
            gone = np.setdiff1d(np.arange(group.size), units)
            for member in group.members:
                if member.learns:
                    new[member.path][(slice(None),) * member.axis + (member.places[gone].reshape(-1),)] = 0
        return new


def network(name: str) -> Network:
    graph = specialize(architrave.load(name, **SMALL[name]), training=False)
    drawn = trial(graph, dict.fromkeys(graph.symbols, 6), 0, np.float64)
    return Network(groups(graph), drawn.inputs, drawn.weights)


def close(found: tuple[Array, ...], wanted: tuple[Array, ...], tolerance: float) -> None:
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, float(np.abs(b).max(initial=0))))


@pytest.mark.parametrize("name", sorted(SMALL))
def test_permuted_networks_are_the_same_function(name: str) -> None:
    net = network(name)
    rng = np.random.default_rng(0)
    chosen = {group: rng.permutation(group.size) for group in net.found.permutable}
    after = net.outputs(net.found.graph, taken(net.found, net.weights, chosen))
    close(after, net.outputs(net.found.graph, net.weights), 1e-12)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_cut_networks_are_those_with_zeros(name: str) -> None:
    net = network(name)
    rng = np.random.default_rng(0)
    chosen = {g: np.sort(rng.permutation(g.size)[: max(1, g.size // 2)]) for g in net.found.cuttable}
    smaller = restricted(net.found, chosen)
    after = net.outputs(smaller, taken(net.found, net.weights, chosen))
    close(after, net.outputs(net.found.graph, net.masked(chosen)), 1e-10)
