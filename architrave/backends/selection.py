"""Single elements of axes: a slice of length 1 whose axis is then left out is written as an index, `x[:, 0]`."""

from __future__ import annotations

from collections.abc import Callable

from architrave.backends.code import Code
from architrave.backends.hierarchy import Item
from architrave.ir.dims import Size
from architrave.ir.graph import Node
from architrave.ir.ops.join import Slice
from architrave.ir.ops.shape import Reshape, Squeeze


def selection(cut: Node, user: Item | None) -> Node | None:
    """The node that leaves out the axes of which `cut`, a slice that nothing else uses, takes one element."""
    match cut.op, user:
        case Slice(steps=steps), Node(op=Reshape() | Squeeze()) if all(step == 1 for step in steps):
            left = tuple(s for axis, s in enumerate(cut.outputs[0].shape) if axis not in _single(cut))
            return user if _single(cut) and user.outputs[0].shape == left else None
        case _:
            return None


def index(cut: Node, size: Callable[[Size], Code]) -> str:
    """The index of such a slice: a place for the axes that are left out, a range for the others."""
    op = cut.op
    if not isinstance(op, Slice):
        raise TypeError(f"{op.name} is no slice")
    shape, single = cut.operands[0].shape, _single(cut)
    parts: list[str] = []
    for axis, (start, stop) in enumerate(zip(op.starts, op.stops, strict=True)):
        first = "" if start == 0 else str(size(start))
        last = "" if stop == shape[axis] else str(size(stop))
        parts.append(str(size(start)) if axis in single else f"{first}:{last}")
    while parts[-1] == ":":
        parts.pop()
    return ", ".join(parts)


def _single(cut: Node) -> list[int]:
    """The axes of which a slice takes one element of several."""
    op, shape = cut.op, cut.operands[0].shape
    if not isinstance(op, Slice):
        return []
    pairs = enumerate(zip(op.starts, op.stops, strict=True))
    return [axis for axis, (start, stop) in pairs if stop == start + 1 and shape[axis] != 1]
