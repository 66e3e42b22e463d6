"""The inputs of a region, named and ordered as the block or fn that it is one of declares them."""

from __future__ import annotations

from architrave.backends.hierarchy.region import Region
from architrave.ir.graph import Value
from architrave.ir.ops.leaves import Param, State
from architrave.ir.ops.random import RunKey


def arrange(region: Region) -> None:
    """Name the inputs and put them in order: tensors as declared, then weights, and the run's key last.

    Values do not know which parameters they are given for. Those of the same names outside are told apart by
    these; the others, if there are as many parameters left, by the order in which they are first used.
    """
    tensors = [v for v in region.inputs if not isinstance(v.op, Param | State | RunKey)]
    others = sorted((v for v in region.inputs if v not in tensors), key=lambda v: isinstance(v.op, RunKey))
    block = region.place.block if region.place is not None else None
    declared = block.inputs if block is not None else ()
    region.names = named(tensors, declared)
    if len(region.names) == len(tensors):
        tensors.sort(key=lambda v: declared.index(region.names[v]))
    region.inputs = dict.fromkeys([*tensors, *others])


def named(tensors: list[Value], declared: tuple[str, ...]) -> dict[Value, str]:
    """The declared names of inputs, as far as their own tell them apart."""
    given = [v.hint for v in tensors]
    names = {
        v: n for v, n in zip(tensors, given, strict=True) if n is not None and n in declared and given.count(n) == 1
    }
    left = [v for v in tensors if v not in names]
    free = [n for n in declared if n not in names.values()]
    if len(left) == len(free):
        names.update(zip(left, free, strict=True))
    return names
