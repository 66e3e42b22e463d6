"""Moving scales through operators that only arrange elements, so that they meet the map that takes them in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from architrave.ir.dims import divide, product
from architrave.ir.graph import Node, Value, apply, make
from architrave.ir.ops.arithmetic import Add
from architrave.ir.ops.join import Concat, Slice
from architrave.ir.ops.shape import Expand, Flip, Reshape, Transpose
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
    while type(current.op) in PLACES and walk.uses(current) == 1 and len(between) < DEEPEST:
        between.append(current.node)
        current = current.node.operands[0]
    scale = view(current, walk.static) if between and walk.uses(current) == 1 else None
    if not isinstance(scale, Scale):
        return None
    x = scale.x
    for each in reversed(between):
        moved = _behind(each, scale)
        if moved is None:
            return None
        x = make(each.op, (x,), each.marks).outputs[0]
        scale = replace(moved, x=x)
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
    moved = _before(node, scale) if type(node.op) in PLACES else None
    return None if moved is None else _again(node, [_taken_in(node.operands[0], moved, walk, depth - 1)])


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


class _Place(NamedTuple):
    """Where channels come to lie: along `axis`, as a whole `around` times, each `within` times in a row."""

    axis: int
    around: int = 1
    within: int = 1

    def spread(self, vector: Value | None) -> Value | None:
        """A number for each channel as one for each place along the axis."""
        if vector is None or self.around == self.within == 1:
            return vector
        (channels,) = vector.shape
        block = apply(Expand((self.around, channels, self.within)), apply(Reshape((1, channels, 1)), vector))
        return apply(Reshape((self.around * channels * self.within,)), block)


def _behind(node: Node, scale: Scale) -> Scale | None:
    """A scale of the operand as one of the result; None where its channels come to lie apart."""
    return _moved(scale, None if scale.axis is None else PLACES[type(node.op)](node, scale.axis, False))


def _before(node: Node, scale: Scale) -> Scale | None:
    """A scale of the result as one of the operand."""
    return _moved(scale, None if scale.axis is None else PLACES[type(node.op)](node, scale.axis, True))


def _moved(scale: Scale, place: _Place | None) -> Scale | None:
    if scale.axis is None:
        return scale
    return None if place is None else Scale(scale.x, place.axis, place.spread(scale.scale), place.spread(scale.shift))


def _transposed(node: Node, axis: int, back: bool) -> _Place:
    assert isinstance(node.op, Transpose)
    axes = [each % node.operands[0].rank for each in node.op.axes]
    return _Place(axes[axis] if back else axes.index(axis))


def _reshaped(node: Node, axis: int, back: bool) -> _Place | None:
    old, new = node.operands[0].shape, node.outputs[0].shape
    old, new = (new, old) if back else (old, new)
    outside = product(old[:axis])
    for i, size in enumerate(new):
        around = divide(outside, product(new[:i]))
        within = None if around is None else divide(size, around * old[axis])
        if isinstance(around, int) and isinstance(within, int) and around * within > 0:
            return _Place(i, around, within)
    return None


def _sliced(node: Node, axis: int, back: bool) -> _Place | None:
    assert isinstance(node.op, Slice)
    whole = node.operands[0].shape[axis] == node.outputs[0].shape[axis] and node.op.steps[axis] > 0
    return _Place(axis) if whole else None


def _flipped(node: Node, axis: int, back: bool) -> _Place | None:
    assert isinstance(node.op, Flip)
    turned = {each % node.operands[0].rank for each in node.op.axes}
    return None if axis in turned else _Place(axis)


def _averaged(node: Node, axis: int, back: bool) -> _Place | None:
    """A mean of what is scaled and shifted alike is the mean, scaled and shifted."""
    assert isinstance(node.op, Mean)
    rank = node.operands[0].rank
    gone = set(range(rank)) if node.op.axes is None else {each % rank for each in node.op.axes}
    left = list(range(rank)) if node.op.keep else [each for each in range(rank) if each not in gone]
    if back:
        return None if left[axis] in gone else _Place(left[axis])
    return None if axis in gone else _Place(left.index(axis))


PLACES: dict[type, Callable[[Node, int, bool], _Place | None]] = {
    Transpose: _transposed,
    Reshape: _reshaped,
    Slice: _sliced,
    Flip: _flipped,
    Mean: _averaged,
}
"""Operators that a scale passes through, and which axis becomes which: of the result, or `back` of the operand."""
