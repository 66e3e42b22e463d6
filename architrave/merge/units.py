"""The units of a dimension as vectors: all weights in which each stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.axes.groups import Group, Groups
from architrave.ir.axes.restrict import Chosen, taken
from architrave.ir.source import error
from architrave.ir.storage import is_float
from architrave.ir.types import shape_text


def vectors(group: Group, weights: Mapping[str, Array]) -> Iterator[Array]:
    """For each member of a group the numbers of each unit: float64 [units, numbers], of weights that learn."""
    for member in group.members:
        array = weights[member.path]
        if not member.learns or not is_float(array.dtype):
            continue
        rows = np.moveaxis(np.take(array, member.places.reshape(-1), member.axis), member.axis, 0)
        yield rows.reshape(group.size, -1).astype(np.float64)


def vector(group: Group, weights: Mapping[str, Array]) -> Array:
    """All numbers of each unit: float64 [units, numbers]."""
    return np.concatenate([*vectors(group, weights)], axis=1)


def permuted(groups: Groups, weights: Mapping[str, Array], chosen: Chosen) -> dict[str, Array]:
    """The weights with the units of groups in another order: the same function. Raises E946 where it is not."""
    for group, units in chosen.items():
        if group.ordered is not None:
            raise error("E946", f"the units of `{group.name}` cannot be permuted: {group.ordered}")
        if not np.array_equal(np.sort(units), np.arange(group.size)):
            raise error("E946", f"this is no order of the {group.size} units of `{group.name}`")
    return taken(groups, weights, chosen)


def check_alike(groups: Groups, *sets: Mapping[str, Array]) -> None:
    """Raises E933 where sets of weights are not of one network, E807 where one holds what is not a number."""
    from architrave.ir.ops.leaves import path_of

    for weights in sets:
        for weight in groups.graph.weights:
            path, array = path_of(weight), weights.get(path_of(weight))
            if array is None or array.shape != weight.shape:
                found = "is missing" if array is None else f"is {shape_text(array.shape)}"
                raise error("E933", f"`{path}` {found}, and {weight.type} in the network", weight.node.span)
            if is_float(array.dtype) and np.isnan(array.astype(np.float64)).any():
                raise error("E807", f"`{path}` holds what is not a number (NaN)")
