"""Moving scales through operators that only arrange elements, so that they meet the map that takes them in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from architrave.ir.dims import product
from architrave.ir.graph import Node, Value, make
from architrave.ir.ops.arithmetic import Add
from architrave.ir.ops.join import Concat, Slice
from architrave.ir.ops.shape import Flip, Reshape, Transpose
from architrave.ir.ops.statistics import Mean
from architrave.passes.reparam.affine import Affine, Dense, Scale, written
from architrave.passes.reparam.compose import composed
from architrave.passes.reparam.cost import Cost, cost_before, cost_of
from architrave.passes.reparam.views import view
from architrave.passes.rewriter import Change, Walk

DEEPEST = 8
"""How many operators a scale is moved through."""


def scale_upwards(node: Node, walk: Walk) -> Change:
    """A scale behind reshapes, transposes, concatenations and sums goes into the maps before these."""
    scale = view(node.outputs[0], walk.static)
    if not isinstance(scale, Scale) or view(scale.x, walk.static) is not None:
        return None
    return _taken_in(scale.x, scale, walk, DEEPEST)


def scale_downwards(node: Node, walk: Walk) -> Change:
    """A scale before reshapes and transposes goes into the map behind these."""
    dense = view(node.outputs[0], walk.static)
    if not isinstance(dense, Dense):
        return None
    between: list[Node] = []
    current = dense.x
    while type(current.op) in AXES and walk.uses(current) == 1 and len(between) < DEEPEST:
        between.append(current.node)
        current = current.node.operands[0]
    scale = view(current, walk.static) if between and walk.uses(current) == 1 else None
    if not isinstance(scale, Scale):
        return None
    x = scale.x
    for each in reversed(between):
        moved = _axis_behind(each, scale.axis)
        if moved is None:
            return None
        x = make(each.op, (x,), each.marks).outputs[0]
        scale = Scale(x, moved.axis, scale.scale, scale.shift)
    before = cost_before(dense, node, walk.static).plus(cost_of(scale, walk.static))
    return _merged(dense, scale, before, walk)


def _taken_in(value: Value, scale: Scale, walk: Walk, depth: int) -> Value | None:
    """The value with a scale applied to it further up, by a map that is there anyway; None where there is none."""
    if walk.uses(value) > 1 or not depth:
        return None
    node = value.node
    inner = view(value, walk.static)
    if inner is not None:
        before = cost_before(inner, node, walk.static).plus(cost_of(scale, walk.static))
        return _merged(replace(scale, x=value), inner, before, walk)
    if isinstance(node.op, Add):
        return _into_sum(node, scale, walk, depth)
    if isinstance(node.op, Concat) and scale.axis != node.op.axis % value.rank:
        return _again(node, [_taken_in(v, scale, walk, depth - 1) for v in node.operands])
    moved = _axis_before(node, scale.axis) if type(node.op) in AXES else None
    if moved is None:
        return None
    return _again(node, [_taken_in(node.operands[0], replace(scale, axis=moved.axis), walk, depth - 1)])


def _into_sum(node: Node, scale: Scale, walk: Walk, depth: int) -> Value | None:
    """Both sides are scaled; one of them is shifted."""
    a, b = node.operands
    if a.type != b.type or (scale.scale is not None and a is b):
        return None
    if scale.scale is not None:
        second = _taken_in(b, replace(scale, shift=None), walk, depth - 1)
        return None if second is None else _again(node, [_taken_in(a, scale, walk, depth - 1), second])
    for position, side in enumerate((a, b)):
        found = _taken_in(side, scale, walk, depth - 1)
        if found is not None:
            return _again(node, [found, b] if position == 0 else [a, found])
    return None


def _again(node: Node, operands: Sequence[Value | None]) -> Value | None:
    """The operator on other operands, unless one of them is missing."""
    found = [v for v in operands if v is not None]
    return make(node.op, found, node.marks).outputs[0] if len(found) == len(operands) else None


def _merged(outer: Affine, inner: Affine, before: Cost, walk: Walk) -> Value | None:
    merged = composed(outer, inner)
    if isinstance(merged, str):
        return None
    after = cost_of(merged, walk.static)
    return written(merged) if before.saves_nodes(after) and before.problem(after) is None else None


@dataclass(frozen=True)
class _Axis:
    """An axis, or none of a scalar."""

    axis: int | None


def _axis_behind(node: Node, axis: int | None) -> _Axis | None:
    """Which axis of the result an axis of the operand becomes; None where it becomes none or is taken apart."""
    if axis is None:
        return _Axis(None)
    pairs = AXES[type(node.op)](node)
    return next((_Axis(after) for before, after in pairs if before == axis), None)


def _axis_before(node: Node, axis: int | None) -> _Axis | None:
    """Which axis of the operand an axis of the result was."""
    if axis is None:
        return _Axis(None)
    pairs = AXES[type(node.op)](node)
    return next((_Axis(before) for before, after in pairs if after == axis), None)


def _transposed(node: Node) -> list[tuple[int, int]]:
    assert isinstance(node.op, Transpose)
    rank = node.operands[0].rank
    return [(before % rank, after) for after, before in enumerate(node.op.axes)]


def _reshaped(node: Node) -> list[tuple[int, int]]:
    """The axes that keep their size and their place among the elements."""
    old, new = node.operands[0].shape, node.outputs[0].shape
    return [
        (i, j)
        for i, size in enumerate(old)
        for j, other in enumerate(new)
        if size == other and product(old[:i]) == product(new[:j]) and product(old[i + 1 :]) == product(new[j + 1 :])
    ]


def _sliced(node: Node) -> list[tuple[int, int]]:
    old, new = node.operands[0].shape, node.outputs[0].shape
    assert isinstance(node.op, Slice)
    whole = zip(range(len(old)), old, new, node.op.steps, strict=True)
    return [(i, i) for i, before, after, step in whole if before == after and step > 0]


def _flipped(node: Node) -> list[tuple[int, int]]:
    assert isinstance(node.op, Flip)
    rank = node.operands[0].rank
    turned = {axis % rank for axis in node.op.axes}
    return [(i, i) for i in range(rank) if i not in turned]


def _averaged(node: Node) -> list[tuple[int, int]]:
    """A mean of what is scaled and shifted alike is the mean, scaled and shifted."""
    old, new = node.operands[0].shape, node.outputs[0].shape
    assert isinstance(node.op, Mean)
    axes = node.op.axes
    gone = set(range(len(old))) if axes is None else {axis % len(old) for axis in axes}
    if len(old) == len(new):
        return [(i, i) for i in range(len(old)) if i not in gone]
    return [(i, j) for j, i in enumerate(i for i in range(len(old)) if i not in gone)]


AXES: dict[type, Callable[[Node], list[tuple[int, int]]]] = {
    Transpose: _transposed,
    Reshape: _reshaped,
    Slice: _sliced,
    Flip: _flipped,
    Mean: _averaged,
}
"""Operators that a scale passes through, and which axis becomes which."""
