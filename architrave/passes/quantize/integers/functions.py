"""Rules that make tables of functions, and integers of softmax and norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from architrave.ir import build
from architrave.ir.dims import divide, product
from architrave.ir.graph import Node, Value, apply
from architrave.ir.ops.activation import Activation, Clip, Softmax
from architrave.ir.ops.arithmetic import Add, Divide, Maximum, Minimum, Multiply, Power, Subtract
from architrave.ir.ops.elementwise import Abs, Exp, FloatUnary, Log, Negative, RealUnary, Sqrt
from architrave.ir.ops.integer_norm import LONGEST, UNIT
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Cast, Where
from architrave.ir.ops.norm import GroupNorm, LayerNorm, RmsNorm
from architrave.ir.ops.quantize import Quantize
from architrave.ir.ops.reduce import Any
from architrave.ir.ops.shape import Expand, Reshape
from architrave.ir.rewrite import kept
from architrave.ir.types import DType
from architrave.passes.journal import Declined
from architrave.passes.quantize.integers.held import EIGHT_BITS, Held, held, in_steps
from architrave.passes.quantize.integers.table import eps_in_steps, every, exponentials, table
from architrave.passes.quantize.rounding.rounded import BOUNDED, is_full
from architrave.passes.reparam.affine import channelwise
from architrave.passes.rewriter import Change, Walk

ELEMENTWISE = (
    *(Activation, FloatUnary, RealUnary, Negative, Abs, Exp, Log, Sqrt, Clip),
    *(Add, Subtract, Multiply, Divide, Power, Maximum, Minimum),
)
"""What makes each element of one element, where its other operands are single numbers."""
POWER_BITS, LEVELS = 16, 2**15 - 1
"""Exponentials and what a softmax gives: the product of both fits into 31 bits."""
MOST_NODES = 32
"""How many operators a table may stand for."""


def looked_up(node: Node, walk: Walk) -> Change:
    """What is computed of 8-bit integers one by one, and rounded again, is a table."""
    # A table itself is such a function of all integers.
    if not isinstance(node.op, Quantize) or node.outputs[0] in walk.static:
        return None
    x, *setting = node.operands
    found = _function_of_one(x, walk) if isinstance(x.op, ELEMENTWISE) else None
    source = held(found[0]) if found is not None else None
    if found is None or source is None or any(v.rank for v in setting):
        return None
    if not _is_small(source):
        return Declined(f"what it reads is not rounded to 8 bits of one scale: `{_ASK}`", x.node)
    result: Value = build.lookup(source.q, table(found[1], source, node.op, *setting))
    return result


def integer_softmax(node: Node, walk: Walk) -> Change:
    """A softmax of 8-bit integers: exponentials from a table, and a division of integers."""
    if not isinstance(node.op, Softmax):
        return None
    x, mask = _unmasked(node.operands[0])
    source, length = held(x), x.shape[node.op.axis]
    if source is None:
        return None
    if not _is_small(source):
        return Declined(f"what it reads is not rounded to 8 bits of one scale: `{_ASK}`", node)
    if not isinstance(length, int) or length >= 2 ** (31 - POWER_BITS):
        return Declined(f"32 bits might not hold the sum of {length} exponentials", node)
    entries = exponentials(source.scale, POWER_BITS)
    options = {"axis": node.op.axis, "bits": POWER_BITS, "levels": LEVELS}
    shares: Value = build.softmax_integer(source.q, entries, mask, **options)
    return Held(shares, apply(Full(1.0 / LEVELS, (), source.scale.dtype))).number()


def integer_norm(node: Node, walk: Walk) -> Change:
    """A norm over the last axis of 8-bit integers, or over groups of channels."""
    if not isinstance(node.op, LayerNorm | RmsNorm | GroupNorm):
        return None
    source = held(node.operands[0])
    if source is None:
        return None
    q, *affine = source.q, *node.operands[1:]
    rows, axis = (_grouped(node.op, q), 1) if isinstance(node.op, GroupNorm) else (q, q.rank - 1)
    count = rows.shape[-1]
    if not _is_small(source):
        return Declined(f"what it reads is not rounded to 8 bits of one scale: `{_ASK}`", node)
    if not isinstance(count, int) or count > LONGEST:
        return Declined(f"32 bits might not hold the squares of {count} elements", node)
    if any(v not in walk.static for v in affine):
        return Declined("its weight or its bias is computed in the run", node)
    eps = eps_in_steps(node.op.eps, count, source.scale)
    scale = apply(Full(math.sqrt(count) / 2**UNIT, (), source.scale.dtype))
    weight = affine[0] if affine else None
    if weight is not None:
        largest: Value = build.max(build.abs(weight)) / float(2**15 - 1)
        step: Value = build.where(largest > 0.0, largest, 1.0)
        weight, scale = apply(Quantize(16, narrow=True), weight, step), scale * step
    bias = in_steps(affine[1], scale) if len(affine) == 2 else None
    if isinstance(node.op, RmsNorm):
        return Held(_rms_norm(source, eps, weight), scale).number()
    if isinstance(node.op, LayerNorm):
        total: Value = build.layer_norm_integer(q, eps, weight, bias)
        return Held(total, scale).number()
    total = apply(Reshape(q.shape), build.layer_norm_integer(rows, eps))
    if weight is not None:
        total = total * channelwise(apply(Cast(DType.I32), weight), axis, q.rank)
    if bias is not None:
        total = total + channelwise(bias, axis, q.rank)
    return Held(total, scale).number()


def masked_as_integers(node: Node, walk: Walk) -> Change:
    """Zeros in the place of what integers hold are their zero point."""
    if not isinstance(node.op, Where) or not is_full(node.operands[2], 0.0):
        return None
    condition, x, _ = node.operands
    source = held(x)
    if source is None or (source.zero is not None and source.zero.rank) or not source.is_even:
        return None
    zero = apply(Full(0, (), source.q.dtype)) if source.zero is None else apply(Cast(source.q.dtype), source.zero)
    return Held(apply(Where(), condition, source.q, zero), source.scale, source.zero).number()


def looked_up_as_floats(node: Node, walk: Walk) -> Change:
    """What is computed of 8-bit integers one by one, and not rounded again, is a table of floats."""
    if not isinstance(node.op, ELEMENTWISE) or isinstance(node.op, BOUNDED) or node.outputs[0] in walk.static:
        return None
    found = _function_of_one(node.outputs[0], walk)
    source = held(found[0]) if found is not None else None
    if found is None or source is None or not _is_small(source):
        return None
    result: Value = build.lookup(source.q, found[1](every(source).number()))
    return result


LAST = (looked_up_as_floats,)
"""What is left for when no other rule finds anything any more."""
RULES = (looked_up, integer_softmax, integer_norm, masked_as_integers)
_ASK = "quantize{functions=true}"


def _is_small(source: Held) -> bool:
    """Whether integers of 8 bits with one scale, and one zero point, hold a tensor."""
    return source.q.dtype in EIGHT_BITS and source.is_even and (source.zero is None or not source.zero.rank)


def _function_of_one(x: Value, walk: Walk) -> tuple[Value, Callable[[Value], Value]] | None:
    """What integers hold that each element of `x` is a function of, and that function."""
    nodes: dict[Node, None] = {}
    sources: set[Value] = set()
    pending = [x]
    while pending:
        value = pending.pop()
        if held(value) is not None:
            sources.add(value)
        elif value in walk.static and value.rank == 0:
            continue
        elif isinstance(value.op, ELEMENTWISE) and value.shape == x.shape and len(nodes) < MOST_NODES:
            nodes[value.node] = None
            pending += value.node.operands
        else:
            return None
    if len(sources) != 1:
        return None
    (source,) = sources
    return source, partial(_replayed, sorted(nodes, key=lambda node: node.serial), source)


def _replayed(nodes: Sequence[Node], source: Value, x: Value) -> Value:
    """The last of nodes, computed of `x` in the place of `source`."""
    new = {source: x}
    for node in nodes:
        (new[node.outputs[0]],) = kept(node, tuple(new.get(v, v) for v in node.operands))
    return new[nodes[-1].outputs[0]]


def _unmasked(x: Value) -> tuple[Value, Value | None]:
    """Logits without the minus infinities in their place, and where there are none.

    Attention has zeros in rows of nothing but minus infinities, and looks at none of what comes of them.
    """
    inner = x
    if isinstance(x.op, Where) and is_full(x.node.operands[2], 0.0):
        seen, inner = x.node.operands[:2]
        if not isinstance(seen.op, Any) or seen.node.operands[0] not in inner.node.operands[:1]:
            return x, None
    if not isinstance(inner.op, Where) or not is_full(inner.node.operands[2], -math.inf):
        return x, None
    mask, scores, _ = inner.node.operands
    return scores, mask


def _grouped(op: GroupNorm, q: Value) -> Value:
    """Each group of channels [N, C, *S] as a row: [N, groups, C / groups * S]."""
    share = divide(product(q.shape[1:]), op.groups)
    assert share is not None
    return apply(Reshape((q.shape[0], op.groups, share)), q)


def _rms_norm(source: Held, eps: Value, weight: Value | None) -> Value:
    if weight is None and source.zero is not None:
        weight = apply(Expand(source.q.shape[-1:]), apply(Full(1, (), DType.I16)))
    total: Value = build.rms_norm_integer(source.q, eps, weight, *source.offset)
    return total
