"""Units of groups in their weights: what belongs to each of them, and what is left when it is zero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from architrave.ir.arrays import Array, np
from architrave.ir.axes.axis import factors, leaves, parts
from architrave.ir.axes.groups import Group, Member
from architrave.ir.axes.rest import Coordinates

Kept = Mapping[Group, Coordinates]
"""For each group that is cut the units that stay, in ascending order."""


def per_unit(member: Member, array: Array) -> Array:
    """The sum of an array of a weight's shape over all that belongs to each unit: float64 [units]."""
    others = tuple(i for i in range(array.ndim) if i != member.axis)
    along = np.asarray(np.sum(array, axis=others, dtype=np.float64))
    return np.asarray(along[member.places].sum(axis=1))


def masked(weights: Mapping[str, Any], kept: Kept) -> dict[str, Array]:
    """The weights with zeros at every unit that does not stay: the network of the same function, at its old size."""
    new = {path: np.asarray(array) for path, array in weights.items()}
    for group, units in kept.items():
        gone = np.setdiff1d(np.arange(group.size), units)
        for member in group.members:
            array = new[member.path].copy()
            array[(slice(None),) * member.axis + (member.places[gone].reshape(-1),)] = 0
            new[member.path] = array
    return new


def kind(group: Group) -> str:
    """What its units are: channels of convolutions, heads, the width of heads, or plain units."""
    if any(len(member.weight.shape) > 2 for member in group.members):
        return "channels"
    made = [factors(part) for member in group.members for part in parts(member.along)]
    products = [(outer, inner) for outer, *inner in made if inner]
    if any(group.axis in leaves(outer) for outer, _ in products):
        return "heads"
    return "width" if any(group.axis in leaves(f) for _, inner in products for f in inner) else "units"
