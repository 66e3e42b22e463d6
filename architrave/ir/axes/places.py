"""Where the units of a dimension stand along an axis, and what is left of an axis when units go."""

from __future__ import annotations

from collections.abc import Mapping

from architrave.ir.arrays import np
from architrave.ir.axes.axis import Axis, Joined, Product, factors, leaves, parts, resolved
from architrave.ir.axes.rest import Coordinates


def coordinates(axis: Axis, leaf: Axis) -> Coordinates:
    """The coordinates along `axis` of each unit of a dimension that it is made of: int [units, m], ascending."""
    if axis.size == leaf.size:
        return np.arange(_length(leaf))[:, None]
    found = np.sort(np.concatenate(_occurrences(axis, leaf), axis=1), axis=1)
    # A unit that meets itself, on the diagonal of a product of an axis with itself, stands there once.
    twice = bool((found[:, 1:] == found[:, :-1]).any())
    return np.stack([np.unique(row) for row in found]) if twice else found


def selected(axis: Axis, chosen: Mapping[Axis, Coordinates]) -> Coordinates | None:
    """The coordinates along `axis` where dimensions keep the units that are `chosen`, in that order; None for all."""
    if not any(leaf in chosen for leaf in leaves(axis)):
        return None
    axis = resolved(axis)
    match axis.form:
        case Joined():
            found, start = list[Coordinates](), 0
            for part in parts(axis):
                found.append(start + _all_or(selected(part, chosen), part))
                start += _length(part)
            return np.concatenate(found)
        case Product():
            found_places = np.zeros(1, np.intp)
            for factor in factors(axis):
                inner = _all_or(selected(factor, chosen), factor)
                found_places = (found_places[:, None] * _length(factor) + inner).reshape(-1)
            return found_places
        case _:
            return chosen[axis]


def _occurrences(axis: Axis, leaf: Axis) -> list[Coordinates]:
    """For each time that a dimension occurs in an axis the places of its units. Forms nest as deep as log2(size)."""
    axis = resolved(axis)
    if axis is leaf:
        return [np.arange(_length(leaf))[:, None]]
    found: list[Coordinates] = []
    if isinstance(axis.form, Joined):
        start = 0
        for part in parts(axis):
            found += [places + start for places in _occurrences(part, leaf)]
            start += _length(part)
    elif isinstance(axis.form, Product):
        step, before = _length(axis), 1
        for factor in factors(axis):
            step //= _length(factor)
            inner, outer = np.arange(step), np.arange(before) * (step * _length(factor))
            for places in _occurrences(factor, leaf):
                spread = outer[None, :, None, None] + places[:, None, :, None] * step + inner
                found.append(spread.reshape(len(places), -1))
            before *= _length(factor)
    return found


def _all_or(places: Coordinates | None, axis: Axis) -> Coordinates:
    return np.arange(_length(axis)) if places is None else places


def _length(axis: Axis) -> int:
    assert isinstance(axis.size, int), "only axes of a known size are made of dimensions with units"
    return axis.size
