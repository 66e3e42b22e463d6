"""How the axes of a smaller network lie in those of a larger one: by the first units of each dimension.

Both are made of dimensions in the same way: heads of channels in one are fewer heads of the same or fewer channels in
the other. Kernels lie in the centre of larger ones, as in Yu and others, "BigNAS: Scaling Up Neural Architecture Search
with Big Single-Stage Models" (2020).
"""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.arrays import np
from architrave.ir.axes.axis import Axis, Joined, Product, factors, leaves, parts, resolved, slides
from architrave.ir.axes.places import selected
from architrave.ir.axes.rest import Coordinates
from architrave.ir.dims import Size


def within(large: Axis, small: Axis) -> dict[Axis, Coordinates] | None:
    """For each dimension of `large` that has fewer units in `small` those which it has; None where that cannot be.

    An axis that joins fewer parts joins the first ones. A product of fewer factors has the last ones: forms leave out
    factors of size 1.
    """
    found: dict[Axis, Coordinates] = {}
    pending = [(large, small)]
    while pending:
        a, b = map(resolved, pending.pop())
        if a.size == b.size:
            continue
        if isinstance(a.form, Joined):
            ours, theirs = parts(a), parts(b)
        elif isinstance(a.form, Product):
            ours = factors(a)
            theirs = _padded(factors(b), [f.size for f in ours])
        else:
            units = _units(a, b.size)
            if units is None or not np.array_equal(found.setdefault(a, units), units):
                return None
            continue
        if len(theirs) > len(ours):
            return None
        found |= {leaf: np.arange(0) for part in ours[len(theirs) :] for leaf in leaves(part)}
        pending += zip(ours, theirs, strict=False)
    places = selected(large, found)
    fits = small.size == (large.size if places is None else len(places))
    return found if fits else None


def _units(leaf: Axis, size: Size) -> Coordinates | None:
    """The units of a dimension that is left with so many: the first ones, and those in the centre of a kernel."""
    if not isinstance(leaf.size, int) or not isinstance(size, int) or size > leaf.size:
        return None
    spare = leaf.size - size
    if not slides(leaf):
        return np.arange(size)
    return None if spare % 2 else np.arange(spare // 2, spare // 2 + size)


def _padded(small: Sequence[Axis], sizes: Sequence[Size]) -> list[Axis]:
    """The factors with those of size 1, so that each is no larger than its counterpart, where that can be."""
    found: list[Axis] = []
    left = [*small]
    for size in reversed(sizes):
        fits = bool(left) and isinstance(size, int) and isinstance(left[-1].size, int) and left[-1].size <= size
        found.append(left.pop() if fits else Axis(1))
    return [*left, *reversed(found)]
