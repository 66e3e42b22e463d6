"""Chains: elements of one list of blocks that feed one another, which programs write as a loop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from architrave.ir.graph import Node, Value

if TYPE_CHECKING:
    from architrave.backends.hierarchy.region import Item, Region


@dataclass(frozen=True, eq=False)
class Chain:
    """`path.first`, `path.first + 1`, ...: each region gets the results of the one before it.

    `fed[i]` is the position among the inputs at which a region takes the i-th result of the one before;
    at its other inputs it takes the same values as all the others. Nothing else uses the results within.
    """

    path: str
    first: int
    fed: tuple[int, ...]
    regions: tuple[Region, ...]

    @property
    def inputs(self) -> tuple[Value, ...]:
        """What goes into the first region."""
        return tuple(self.regions[0].inputs)

    @property
    def outputs(self) -> tuple[Value, ...]:
        """What comes out of the last one."""
        return tuple(self.regions[-1].outputs)


def group(region: Region) -> list[Item]:
    """The items of a region with every run of regions that is a chain replaced by it."""
    uses = _uses(region)
    items: list[Item] = []
    run: list[Region] = []
    for item in region.items:
        if run and not (_is_region(item) and _continues(run, item, uses)):
            items.append(_closed(run))
            run = []
        if _is_region(item):
            run.append(item)
        else:
            items.append(item)
    return [*items, _closed(run)] if run else items


def position(path: str) -> tuple[str, int] | None:
    """`("layer", 3)` for `layer.3`; None for a path that is no element of a list."""
    head, dot, last = path.rpartition(".")
    is_index = last.isascii() and last.isdigit() and str(int(last)) == last if len(last) < 10 else False
    return (head, int(last)) if dot and is_index else None


def _is_region(item: object) -> TypeGuard[Region]:
    return not isinstance(item, Node | Chain)


def _uses(region: Region) -> Counter[Value]:
    """How many items of a region use each value; its outputs and updates count, too."""
    uses: Counter[Value] = Counter(tuple(region.results or region.outputs))
    uses.update(value for _, value in region.updates)
    for item in region.items:
        operands = item.operands if isinstance(item, Node) else item.inputs
        uses.update(set(operands))
    return uses


def _continues(run: list[Region], following: Region, uses: Counter[Value]) -> bool:
    last = run[-1]
    here, there = position(last.path), position(following.path)
    if here is None or there is None or there != (here[0], here[1] + 1) or last.is_function or following.is_function:
        return False
    if any(uses[v] != 1 for v in last.outputs) or len(last.outputs) != len(following.outputs):
        return False
    fed = _fed(last, following)
    if fed is None or (len(run) > 1 and fed != _fed(run[-2], last)):
        return False
    before, after = tuple(last.inputs), tuple(following.inputs)
    same = (a is b for i, (a, b) in enumerate(zip(before, after, strict=False)) if i not in fed)
    return len(before) == len(after) and all(same)


def _fed(last: Region, following: Region) -> tuple[int, ...] | None:
    where = {value: i for i, value in enumerate(following.inputs)}
    found = [where.get(value) for value in last.outputs]
    fed = tuple(i for i in found if i is not None)
    return fed if len(fed) == len(found) else None


def _closed(run: list[Region]) -> Region | Chain:
    if len(run) == 1:
        return run[0]
    fed = _fed(run[0], run[1])
    place = position(run[0].path)
    if fed is None or place is None:
        raise AssertionError("a run is made of list elements that feed one another")
    return Chain(*place, fed, tuple(run))
