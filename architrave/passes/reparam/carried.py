"""Operators that move and add vectors and leave each vector whole: where an axis of the result lies in the operands."""

from __future__ import annotations

from dataclasses import replace

from architrave.ir.dims import Size, product
from architrave.ir.graph import Node, Value
from architrave.ir.op import Op
from architrave.ir.ops.arithmetic import Add, Divide, Multiply, Subtract
from architrave.ir.ops.elementwise import Negative
from architrave.ir.ops.index import Take
from architrave.ir.ops.join import Concat, Pad, Slice
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import StopGradient
from architrave.ir.ops.reduce import Sum
from architrave.ir.ops.shape import Expand, Flatten, Flip, Reshape, Roll, Squeeze, Transpose, Unsqueeze
from architrave.ir.ops.statistics import Mean

MOVES = (Slice, Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand, Flip, Roll, Mean, Take)
"""Those that give the vectors of one operand, or means of them, and nothing else."""


def carried(node: Node, axis: int) -> dict[int, int] | None:
    """For each operand whose vectors the result is made of, by position, the axis that they lie along.

    Of the result they lie along `axis`. None where the operator mixes or changes their coordinates.
    """
    (y, *others) = node.outputs
    if others or not node.operands:
        return None
    found: dict[int, int] | None = None
    match node.op:
        case Add() | Subtract():
            found = {i: _aligned(v, y, axis) for i, v in enumerate(node.operands)}
        case Multiply():
            found = _scaled(node, axis, (0, 1))
        case Divide():
            found = _scaled(node, axis, (0,))
        case Negative() | StopGradient():
            found = {0: axis}
        case Expand():
            found = {0: _aligned(node.operands[0], y, axis)}
        case Concat(axis=along) if along % y.rank != axis:
            found = dict.fromkeys(range(len(node.operands)), axis)
        case Slice(steps=steps) if steps[axis] == 1:
            found = {0: axis}
        case Pad(mode="constant", value=0, widths=widths) if widths[axis] == (0, 0):
            found = {0: axis}
        case Flip(axes=axes) | Roll(axes=axes) if axis not in [a % y.rank for a in axes]:
            found = {0: axis}
        case Transpose(axes=axes):
            found = {0: axes[axis] % y.rank}
        case Reshape() | Flatten() | Squeeze() | Unsqueeze():
            found = _reshaped(node.operands[0], y, axis)
        case Take(axis=along):
            found = _taken(node, along % node.operands[0].rank, axis)
        case Mean(axes=axes) | Sum(axes=axes) if axes is not None:
            found = _reduced(node.operands[0], [a % node.operands[0].rank for a in axes], node.op.keep, axis)
        case _:
            pass
    whole = found and all(a >= 0 and node.operands[i].shape[a] == y.shape[axis] for i, a in found.items())
    return found if whole else None


def widened(op: Op, y: Value, axis: int, width: Size) -> Op:
    """An operator that carries vectors along `axis` of its result `y`, for vectors of another width."""
    shape = (*y.shape[:axis], width, *y.shape[axis + 1 :])
    match op:
        case Reshape() | Expand() | Full():
            return replace(op, shape=shape)
        case Slice(stops=stops):
            return replace(op, stops=(*stops[:axis], width, *stops[axis + 1 :]))
        case _:
            return op


def _aligned(operand: Value, y: Value, axis: int) -> int:
    """The axis of an operand that broadcasts to `axis` of the result; negative for none."""
    return axis - (y.rank - operand.rank)


def _scaled(node: Node, axis: int, vectors: tuple[int, ...]) -> dict[int, int] | None:
    """One of the operands, which the other one scales by the same number along the axis."""
    y = node.outputs[0]
    for i in vectors:
        factor = node.operands[1 - i]
        at = _aligned(factor, y, axis)
        if at < 0 or factor.shape[at] == 1:
            return {i: _aligned(node.operands[i], y, axis)}
    return None


def _reshaped(x: Value, y: Value, axis: int) -> dict[int, int] | None:
    before = product(y.shape[:axis])
    fits = (i for i, size in enumerate(x.shape) if size == y.shape[axis] and product(x.shape[:i]) == before)
    at = next(fits, None)
    return None if at is None else {0: at}


def _taken(node: Node, along: int, axis: int) -> dict[int, int] | None:
    index = node.operands[1]
    if axis < along:
        return {0: axis}
    return {0: axis - index.rank + 1} if axis >= along + index.rank else None


def _reduced(x: Value, axes: list[int], keep: bool, axis: int) -> dict[int, int] | None:
    if keep:
        return None if axis in axes else {0: axis}
    return {0: [a for a in range(x.rank) if a not in axes][axis]}
