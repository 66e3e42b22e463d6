"""Several trained networks as one, whose units are those that several of them have, and those that only one has.

Wang, Yurochkin, Sun, Papailiopoulos and Khazaeni, "Federated Learning with Matched Averaging" (2020). The cost of
giving a unit of one network to a unit of the merged one, or to a new one, is that of the beta-Bernoulli process of
Yurochkin and others, "Bayesian Nonparametric Federated Learning of Neural Networks" (2019), equation 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.axes.groups import Group, Groups, groups
from architrave.ir.axes.rest import Coordinates
from architrave.ir.axes.restrict import restricted, taken
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.merge.rebasin import assignment, match_weights
from architrave.merge.units import check_alike, permuted, vector


@dataclass(frozen=True)
class Prior:
    """What is known of units before any is seen.

    `weights` and `noise` are the variances of the units of the merged network about 0, and of those of each network
    about them; `novelty` says how readily units are new ones, the mass of the process.
    """

    weights: float = 10.0
    noise: float = 1.0
    novelty: float = 1.0


@dataclass(frozen=True)
class Merged:
    """The merged network. `units` says for each group and each network which unit of the merged one each unit is."""

    graph: Graph
    weights: dict[str, Array]
    units: Mapping[Group, tuple[Coordinates, ...]]


def match(of_each: Sequence[Array], prior: Prior | None = None) -> list[Coordinates]:
    """For each network the merged unit that each of its units [units, numbers] becomes, new ones numbered on.

    The first network's units are units of the merged one; each other network's take those that they are most like, no
    two of them the same, or become new ones.
    """
    prior = prior or Prior()
    first, *others = of_each
    count = np.ones(len(first))
    total = first / prior.noise
    found: list[Coordinates] = [np.arange(len(first))]
    for units in others:
        places = assignment(_gain(units / prior.noise, total, count, len(of_each), prior))
        # New units are numbered in the order in which they come.
        new = np.unique(places[places >= len(total)])
        places = np.where(places < len(total), places, len(total) + np.searchsorted(new, places))
        total = np.concatenate([total, np.zeros((len(new), total.shape[1]))])
        count = np.concatenate([count, np.zeros(len(new))])
        total[places] += units / prior.noise
        count[places] += 1
        found.append(places)
    return found


def merge(found: Groups, sets: Sequence[Mapping[str, Array]], prior: Prior | None = None) -> Merged:
    """One network of the weights of several, each group of units matched while the groups before it are in order.

    Units that several networks have are averaged; what a unit of one has to do with units that only others have is 0.
    Raises E933 and E807, and E935 where there is nothing to merge.
    """
    if not sets:
        raise error("E935", "there are no networks to merge")
    check_alike(found, *sets)
    first, *others = sets
    ordered = [first, *(permuted(found, weights, match_weights(found, first, weights).order) for weights in others)]
    units: dict[Group, tuple[Coordinates, ...]] = {}
    for group in found.permutable:
        places = match([vector(group, weights) for weights in ordered], prior)
        # A group whose units cannot be more has those of the first network, which the order above is that of.
        same = group.whole is not None
        units[group] = tuple(np.arange(group.size) if same else p for p in places)
    return Merged(*_averaged(found, ordered, units), units)


def _gain(units: Array, total: Array, count: Array, networks: int, prior: Prior) -> Array:
    """How much likelier the merged network is for each unit [units] at each merged unit, then at each new one."""
    one, many = 1 / prior.noise, 1 / prior.weights
    squares = (total**2).sum(1)[None, :] + 2 * units @ total.T + (units**2).sum(1)[:, None]
    known = squares / (many + (count + 1) * one) - ((total**2).sum(1) / (many + count * one))[None, :]
    known += 2 * np.log(count / np.maximum(networks - count, 1e-9))[None, :]
    rank = np.arange(1, len(units) + 1)
    fresh = ((units**2).sum(1) / (many + one))[:, None] - 2 * np.log(rank * networks / prior.novelty)[None, :]
    return np.concatenate([known, fresh], axis=1)


def _averaged(
    found: Groups, sets: Sequence[Mapping[str, Array]], units: Mapping[Group, tuple[Coordinates, ...]]
) -> tuple[Graph, dict[str, Array]]:
    """The network with all merged units, and for each number the mean over the networks that have its units."""
    sizes = {group: int(max(places.max() for places in of_each)) + 1 for group, of_each in units.items()}
    grown = {g: np.zeros(size, np.intp) for g, size in sizes.items() if size > g.size}
    graph = restricted(found, grown, repeated=True) if grown else found.graph
    wide = groups(graph)
    total: dict[str, Array] = {}
    count: dict[str, Array] = {}
    for position, weights in enumerate(sets):
        here = {group: _inverse(of_each[position], sizes[group]) for group, of_each in units.items()}
        spread = taken(found, weights, {group: np.maximum(places, 0) for group, places in here.items()})
        present = {path: np.ones(array.shape) for path, array in spread.items()}
        for group, places in here.items():
            for member in wide.by_name[group.name].members:
                gone = member.places[places < 0].reshape(-1)
                present[member.path][(slice(None),) * member.axis + (gone,)] = 0
        for path, array in spread.items():
            total[path] = total.get(path, 0.0) + array * present[path]
            count[path] = count.get(path, 0.0) + present[path]
    return graph, {path: np.asarray(s / np.maximum(count[path], 1), sets[0][path].dtype) for path, s in total.items()}


def _inverse(places: Coordinates, size: int) -> Coordinates:
    """For each merged unit which unit of a network it is; -1 where it is none."""
    found = np.full(size, -1)
    found[places] = np.arange(len(places))
    return found
