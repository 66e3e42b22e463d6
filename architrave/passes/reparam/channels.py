"""Choosing and permuting channels, as choosing and permuting parts of the weight beside it."""

from __future__ import annotations

from architrave.ir.graph import Node, Value, apply, make
from architrave.ir.ops.index import Take
from architrave.ir.ops.join import Slice
from architrave.ir.ops.leaves import Constant
from architrave.ir.ops.shape import Flip
from architrave.passes.journal import Declined
from architrave.passes.reparam.affine import Dense, written
from architrave.passes.reparam.cost import cost_before, cost_of, nominal
from architrave.passes.reparam.views import view
from architrave.passes.rewriter import Change, Walk

GROUPED = "the convolution has groups, which see channels of their own"


def channels_chosen(node: Node, walk: Walk) -> Change:
    """A slice, a flip or a choice of the channels that a map gives is one of its weight."""
    dense = view(node.operands[0], walk.static) if isinstance(node.op, Slice | Flip | Take) else None
    if not isinstance(dense, Dense) or not _is_along(node, dense.axis):
        return None
    if walk.uses(node.operands[0]) > 1:
        return Declined(f"`{node.operands[0].op.name}` before it has another user", node)
    if dense.window.groups != 1:
        return Declined(GROUPED, node)
    if nominal(node.outputs[0].type.size) > nominal(node.operands[0].type.size):
        return Declined("channels that are repeated would be computed more than once", node)
    bias = None if dense.bias is None else _chosen(node, dense.bias, dense.axis)
    out = node.outputs[0].shape
    chosen = Dense(dense.x, dense.axis, _chosen(node, dense.weight, dense.axis), bias, dense.window, out, dense.marks)
    # A mean of one channel is a map without multiply-adds as long as it is written as a mean.
    problem = cost_before(dense, node.operands[0].node, walk.static).problem(cost_of(chosen, walk.static))
    return written(chosen) if problem is None else Declined(problem, node)


def channels_permuted(node: Node, walk: Walk) -> Change:
    """A map of permuted channels has its weight permuted the other way instead."""
    dense = view(node.outputs[0], walk.static)
    if not isinstance(dense, Dense) or not isinstance(dense.x.op, Take) or not _is_along(dense.x.node, dense.axis):
        return None
    x, places = dense.x.node.operands
    back = _inverse(places)
    if back is None or x.shape != dense.x.shape:
        return None
    if dense.window.groups != 1:
        return Declined(GROUPED, node)
    weight = apply(Take(1), dense.weight, back)
    return written(Dense(x, dense.axis, weight, dense.bias, dense.window, dense.out, dense.marks))


def _is_along(node: Node, axis: int) -> bool:
    """Whether a node changes one axis alone."""
    x = node.operands[0]
    match node.op:
        case Slice(starts=starts, steps=steps):
            changed = [i for i in range(x.rank) if x.shape[i] != node.outputs[0].shape[i] or steps[i] < 0]
            return changed == [axis] and isinstance(starts[axis], int)
        case Flip(axes=axes):
            return {each % x.rank for each in axes} == {axis}
        case Take(axis=along):
            return along % x.rank == axis and isinstance(node.operands[1].op, Constant) and node.operands[1].rank == 1
        case _:
            return False


def _chosen(node: Node, weight: Value, axis: int) -> Value:
    """What a node does to the channels of a result, done to the first axis of a weight or a bias."""
    rest = weight.rank - 1
    match node.op:
        case Slice(starts=starts, stops=stops, steps=steps):
            whole = weight.shape[1:]
            return apply(
                Slice((starts[axis], *(0,) * rest), (stops[axis], *whole), (steps[axis], *(1,) * rest)), weight
            )
        case Flip():
            return apply(Flip((0,)), weight)
        case _:
            return apply(Take(0), weight, node.operands[1])


def _inverse(places: Value) -> Value | None:
    """The permutation that undoes another; None for what is none."""
    from architrave.ir.storage import constant_array, constant_of

    if not isinstance(places.op, Constant) or places.rank != 1:
        return None
    order = constant_array(places.op)
    if sorted(order.tolist()) != list(range(len(order))):
        return None
    return make(constant_of(order.argsort(), places.dtype, order.shape), ()).outputs[0]
