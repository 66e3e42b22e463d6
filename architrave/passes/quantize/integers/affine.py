"""Rules for products of rounded tensors element by element, and for norms by fixed statistics."""

from __future__ import annotations

from architrave.ir import build
from architrave.ir.graph import Node, Value, apply
from architrave.ir.ops.arithmetic import Multiply
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.norm import BatchNorm
from architrave.ir.types import DType
from architrave.passes.journal import Declined
from architrave.passes.quantize.integers.held import EIGHT_BITS, Held, held, in_steps
from architrave.passes.reparam.affine import Scale, channelwise
from architrave.passes.reparam.views import view
from architrave.passes.rewriter import Change, Walk

FINE = 2**12
"""Into how many parts a step of 8 bits is divided, so that what is added to it may be rounded to one of them."""


def integer_times(node: Node, walk: Walk) -> Change:
    """Two tensors of 8 bits, element by element: 17 bits hold each product."""
    if not isinstance(node.op, Multiply):
        return None
    left, right = map(held, node.operands)
    if left is None or right is None or any(side.q.dtype not in EIGHT_BITS for side in (left, right)):
        return None
    return Held(left.steps * right.steps, left.scale * right.scale).number()


def integer_norm(node: Node, walk: Walk) -> Change:
    """A batch norm in inference: a factor goes into the scale, but for its sign, and a shift is added in fine steps."""
    affine = view(node.outputs[0], walk.static) if isinstance(node.op, BatchNorm) else None
    source = held(affine.x) if isinstance(affine, Scale) else None
    if not isinstance(affine, Scale) or source is None or affine.axis is None or affine.scale is None:
        return None
    if source.q.dtype not in EIGHT_BITS or not source.is_even:
        return Declined("what it normalizes is not rounded to 8 bits of one scale", node)
    flat: Value = build.equal(affine.scale, 0.0)
    scale = source.scale * build.where(flat, 1.0, build.abs(affine.scale)) / FINE
    sign = apply(Cast(DType.I32), build.sign(affine.scale)) * FINE
    axis, rank = affine.axis, affine.x.rank
    total = source.steps * channelwise(sign, axis, rank)
    if affine.shift is not None:
        total = total + channelwise(in_steps(affine.shift, scale), axis, rank)
    return Held(total, channelwise(scale, axis, rank)).number()


RULES = (integer_times, integer_norm)
