"""Choosing which units stay, by their scores and a budget: the lowest go, until what is left costs little enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from architrave.ir.arrays import Array, np
from architrave.ir.axes.groups import Group
from architrave.ir.axes.rest import Coordinates
from architrave.ir.source import error
from architrave.prune.plan import Plan, Scores
from architrave.prune.units import Kept

NORMALIZERS: dict[str, Callable[[Array], float]] = {
    "none": lambda scores: 1.0,
    "mean": lambda scores: float(scores.mean()),
    "max": lambda scores: float(scores.max()),
    "sum": lambda scores: float(scores.sum()),
    "l2": lambda scores: float(np.sqrt((scores**2).sum())),
}
"""What the scores of a group are divided by, so that those of all groups can be ranked together."""
Price = Callable[[Coordinates], float]
"""What a network costs whose groups have these sizes: int [groups]. Fewer units never cost more."""


@dataclass(frozen=True)
class Removals:
    """What can go, in the order in which it does: step by step some units of one group. All arrays: [steps]."""

    groups: Sequence[Group]
    orders: Sequence[Coordinates]
    """For each group its units, the one that goes first at the front."""
    group: Coordinates
    count: Coordinates
    score: Array

    def __len__(self) -> int:
        return len(self.group)

    def sizes(self, steps: int) -> Coordinates:
        """What is left of each group after so many steps."""
        gone = np.zeros(len(self.groups), np.intp)
        np.add.at(gone, self.group[:steps], self.count[:steps])
        return np.array([group.size for group in self.groups], np.intp) - gone

    def kept(self, steps: int) -> Kept:
        """The units that stay after so many steps, of groups that lose some."""
        left = zip(self.groups, self.orders, self.sizes(steps).tolist(), strict=True)
        return {group: np.sort(order[group.size - n :]) for group, order, n in left if n < group.size}


def removals(scores: Scores, plan: Plan, normalize: str) -> Removals:
    """All that may go under a plan, the lowest scores first. Raises E936 for a normalizer that there is not."""
    name = plan.normalize or normalize
    if name not in NORMALIZERS:
        raise error("E936", f"scores cannot be divided by `{name}`", hint=f"it is one of {', '.join(NORMALIZERS)}")
    orders = [np.argsort(values, kind="stable") for values in scores.values()]
    steps: list[tuple[Coordinates, Coordinates, Array]] = []
    for i, (values, order) in enumerate(zip(scores.values(), orders, strict=True)):
        ends = _ends(len(values), plan)
        starts = np.concatenate([[0], ends[:-1]]).astype(np.intp)
        if plan.scope == "layer":
            worth = ends / len(values)
        else:
            sums = np.concatenate([[0.0], np.cumsum(values[order])])
            worth = (sums[ends] - sums[starts]) / (ends - starts) / (NORMALIZERS[name](values) or 1.0)
            # Rounding must not put a step before one of the same group that goes first.
            worth = np.maximum.accumulate(worth) if len(worth) else worth
        steps.append((np.full(len(ends), i, np.intp), (ends - starts).astype(np.intp), worth))
    group, count, worth = (np.concatenate(arrays) for arrays in zip(*steps, strict=True))
    ranked = np.argsort(worth, kind="stable")
    return Removals(tuple(scores), orders, group[ranked], count[ranked], worth[ranked])


def fewest(found: Removals, price: Price, share: float, whole: float, what: str) -> int:
    """The fewest steps after which the network costs at most a share of what the `whole` one does.

    Raises E936, with the nearest that can be had, where not even all of them are enough. `what` names the budget.
    """
    low, high = 0, len(found)
    if price(found.sizes(low)) <= share * whole:
        return low
    least = price(found.sizes(high)) / whole
    if least > share:
        nearest = float(np.ceil(least * 1e4) / 1e4)
        raise error(
            "E936",
            f"{share:.2%} of the {what} cannot be kept: when all is gone that may go, {least:.2%} are left",
            hint=f"keep {nearest:g} or more, or let groups keep a smaller share of their units",
        )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if price(found.sizes(middle)) <= share * whole else (middle, high)
    return high


def _ends(size: int, plan: Plan) -> Coordinates:
    """The numbers of units that may be gone from a group, ascending: what is left are multiples, or all of them."""
    least = max(1, int(np.ceil(plan.minimum * size)), min(plan.multiple, size))
    left = np.arange(size - 1, least - 1, -1)
    return np.asarray(size - left[left % plan.multiple == 0])
