"""How smaller axes lie in larger ones."""

from __future__ import annotations

import pytest

from architrave.ir.axes.axis import WINDOW, Axis, join, multiply
from architrave.ir.axes.places import selected
from architrave.ir.axes.within import within


def kernel(size: int) -> Axis:
    return Axis(size, WINDOW, f"`conv` {WINDOW}")


def gates(size: int) -> Axis:
    units = Axis(size)
    return join([units, units, units])


CASES: dict[str, tuple[Axis, Axis, list[int] | None]] = {
    "the first units": (Axis(5), Axis(3), [0, 1, 2]),
    "all units": (Axis(5), Axis(5), [0, 1, 2, 3, 4]),
    "more units": (Axis(3), Axis(5), None),
    "the centre of a kernel": (kernel(7), kernel(3), [2, 3, 4]),
    "a kernel without a centre": (kernel(4), kernel(3), None),
    "fewer heads": (multiply((Axis(3), Axis(2))), multiply((Axis(2), Axis(2))), [0, 1, 2, 3]),
    "narrower heads": (multiply((Axis(2), Axis(4))), multiply((Axis(2), Axis(2))), [0, 1, 4, 5]),
    "one head": (multiply((Axis(3), Axis(4))), Axis(4), [0, 1, 2, 3]),
    "gates": (gates(3), gates(2), [0, 1, 3, 4, 6, 7]),
    "fewer parts": (join((Axis(2), Axis(3), Axis(4))), join((Axis(2), Axis(3))), [0, 1, 2, 3, 4]),
    "smaller parts": (join((Axis(2), Axis(3))), join((Axis(1), Axis(2))), [0, 2, 3]),
    "more parts": (join((Axis(4), Axis(4))), join((Axis(2), Axis(2), Axis(2))), None),
    "a larger part": (join((Axis(2), Axis(6))), join((Axis(3), Axis(3))), None),
}


@pytest.mark.parametrize("name", CASES)
def test_places_of_the_smaller_one(name: str) -> None:
    large, small, wanted = CASES[name]
    chosen = within(large, small)
    if wanted is None:
        assert chosen is None
        return
    assert chosen is not None
    places = selected(large, chosen)
    found = [*range(int(str(large.size)))] if places is None else places.tolist()
    assert found == wanted
