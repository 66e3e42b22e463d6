"""Bringing the units of one trained network into the order of another's.

Ainsworth, Hayase and Srinivasa, "Git Re-Basin: Merging Models modulo Permutation Symmetries" (2022): sections 3.1,
matching activations, and 3.2, matching weights. Which units can be permuted, and where they stand, follows from the
network's dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.axes.axis import leaves
from architrave.ir.axes.groups import Group, Groups
from architrave.ir.axes.places import coordinates
from architrave.ir.axes.rest import Coordinates
from architrave.ir.graph import Value
from architrave.ir.source import error
from architrave.merge.units import check_alike, permuted, vector, vectors
from architrave.record.recorder import Recorder, silent

Order = dict[Group, Coordinates]
"""For each group the units of the second network in the order of the first one's."""
ROUNDS = 100
"""How often all groups are gone through, at most."""


@dataclass(frozen=True)
class Matching:
    """An order, and the likeness of the two networks after each step that led there."""

    order: Order
    likeness: tuple[float, ...]


def match_weights(
    groups: Groups,
    a: Mapping[str, Array],
    b: Mapping[str, Array],
    seed: int = 0,
    progress: Callable[[int], object] = silent,
) -> Matching:
    """The order of the units of `b` in which its weights are most like those of `a`.

    One group after the other takes the best order that there is for it while the others stay; the likeness, the sum of
    products of the weights, never becomes less. It begins where the sorted numbers of the units are most alike, which
    no order of the other groups changes: a hidden permutation is found at once. Raises E933 and E807.
    """
    check_alike(groups, a, b)
    free = groups.permutable
    order: Order = {group: _by_sorted_numbers(group, a, b) for group in free}
    rng: Any = np.random.default_rng(seed)
    found = [_likeness(groups, a, permuted(groups, b, order))]
    for turn in range(ROUNDS):
        before = found[-1]
        for position in rng.permutation(len(free)):
            order, likeness = _improved(groups, a, b, order, free[int(position)], found[-1])
            found.append(likeness)
        progress(turn + 1)
        if found[-1] <= before + 1e-12 * abs(before):
            break
    return Matching(order, tuple(found))


def match_activations(
    groups: Groups,
    a: Mapping[str, Array],
    b: Mapping[str, Array],
    batches: Iterable[Sequence[Any]],
    backend: str = "torch",
    progress: Callable[[int], object] = silent,
) -> Order:
    """The order of the units of `b` in which they give what those of `a` give on examples: the most correlated ones.

    Groups which no value of the network itself has stay as they are. Raises E933, E807, and E935 without examples.
    """
    check_alike(groups, a, b)
    shown = {group: value for group in groups.permutable if (value := shows(groups, group)) is not None}
    recorder = Recorder(groups.graph, {group.name: value for group, value in shown.items()}, backend)
    sums = {group: Correlation(group.size) for group in shown}
    batches = list(batches)
    for of_a, of_b in zip(recorder.stream(a, batches, progress), recorder.stream(b, batches), strict=True):
        for group, value in shown.items():
            sums[group].add(*(_by_unit(groups, group, value, found[group.name]) for found in (of_a, of_b)))
    if not batches:
        raise error("E935", "there are no examples to match activations on")
    return {group: assignment(sums[group].correlation()) for group in shown}


def assignment(likeness: Array) -> Coordinates:
    """For each row the column, each column once, that make the sum of `likeness` [rows, columns] largest."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(likeness, maximize=True)
    return np.asarray(columns)[np.argsort(rows)]


class Correlation:
    """The correlation of each unit of one network with each of another, over all examples and positions."""

    def __init__(self, size: int) -> None:
        self.count = 0
        self.products = np.zeros((size, size))
        self.sums = np.zeros((2, size))
        self.squares = np.zeros((2, size))

    def add(self, a: Array, b: Array) -> None:
        """What the units give: [units, examples]."""
        self.count += a.shape[1]
        self.products += a @ b.T
        self.sums += np.stack([a.sum(1), b.sum(1)])
        self.squares += np.stack([(a**2).sum(1), (b**2).sum(1)])

    def correlation(self) -> Array:
        """float64 [units of a, units of b]; 0 for one that is the same on all examples."""
        mean = self.sums / self.count
        spread = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0))
        covariance = self.products / self.count - np.outer(mean[0], mean[1])
        scale = np.outer(spread[0], spread[1])
        return np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)


def shows(groups: Groups, group: Group) -> Value | None:
    """The first value of a network, other than a weight, that has the units of a group along one axis."""
    for node in groups.graph.nodes:
        for value in node.outputs if node.operands else ():
            if value not in groups.scope.vanishing and _axis_of(groups, group, value) is not None:
                return value
    return None


def _axis_of(groups: Groups, group: Group, value: Value) -> int | None:
    axes = groups.scope.axes[value]
    return next((i for i, axis in enumerate(axes) if group.axis in leaves(axis)), None)


def _by_unit(groups: Groups, group: Group, value: Value, array: Array) -> Array:
    """A value as float64 [units, rest]."""
    axis = _axis_of(groups, group, value)
    assert axis is not None, "the value was chosen because it has the units"
    places = coordinates(groups.scope.axes[value][axis], group.axis)
    rows = np.moveaxis(np.take(array, places.reshape(-1), axis), axis, 0)
    return rows.reshape(group.size, -1).astype(np.float64)


def _by_sorted_numbers(group: Group, a: Mapping[str, Array], b: Mapping[str, Array]) -> Coordinates:
    pairs = zip(vectors(group, a), vectors(group, b), strict=True)
    likeness = np.zeros((group.size, group.size))
    for of_a, of_b in pairs:
        x, y = np.sort(of_a, axis=1), np.sort(of_b, axis=1)
        # The negative squared distance, so that units of the same numbers are the most alike.
        likeness -= (x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1)[None, :]
    return assignment(likeness)


def _improved(
    groups: Groups, a: Mapping[str, Array], b: Mapping[str, Array], order: Order, group: Group, likeness: float
) -> tuple[Order, float]:
    """The order with the best one for a group, and the likeness then; unchanged where that is no more."""
    others = {g: units for g, units in order.items() if g is not group}
    best = assignment(vector(group, a) @ vector(group, permuted(groups, b, others)).T)
    changed = {**order, group: best}
    # A group that meets itself in one weight may do worse by what is best for each axis alone.
    after = _likeness(groups, a, permuted(groups, b, changed))
    return (changed, after) if after > likeness else (order, likeness)


def _likeness(groups: Groups, a: Mapping[str, Array], b: Mapping[str, Array]) -> float:
    learning = {m.path for group in groups for m in group.members if m.learns}
    return float(sum(np.vdot(a[path].astype(np.float64), b[path].astype(np.float64)) for path in sorted(learning)))
