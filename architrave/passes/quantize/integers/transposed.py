"""The rule that makes a transposed convolution a convolution, of integers that lie apart."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.dims import Size, divide
from architrave.ir.graph import Node, Value, apply
from architrave.ir.ops.conv import Conv, ConvTranspose, window_defaults
from architrave.ir.ops.join import Slice, Stack
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.shape import Expand, Flip, Reshape, Transpose
from architrave.passes.journal import Declined
from architrave.passes.quantize.integers.held import Held, held
from architrave.passes.rewriter import Change, Walk


def transposed_apart(node: Node, walk: Walk) -> Change:
    """A convolution, by the kernel turned around, of elements that are put `stride` apart, with zeros between them."""
    if not isinstance(node.op, ConvTranspose):
        return None
    x, weight, *bias = node.operands
    source, kernel = held(x), held(weight)
    if source is None or kernel is None:
        return None
    if not source.is_even or (source.zero is not None and source.zero.rank) or kernel.zero is not None:
        return Declined("an operand has more than one scale, or its weight a zero point", node)
    outputs = _outputs(kernel, node.op.groups)
    rank = x.rank - 2
    stride, padding, dilation = window_defaults(rank, node.op.stride, node.op.padding, node.op.dilation)
    reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    extra = node.op.output_padding or (0,) * rank
    around = tuple((r - lo, r + e - hi) for r, e, (lo, hi) in zip(reach, extra, padding, strict=True))
    if outputs is None or any(not isinstance(width, int) or width < 0 for pair in around for width in pair):
        return Declined("its weight has other scales than of outputs, or more is cut off than its kernel reaches", node)
    conv = Conv((), around, tuple(dilation), node.op.groups)
    return apply(conv, _apart(source, stride).number(), Held(_turned(kernel.q, node.op), outputs).number(), *bias)


RULES = (transposed_apart,)


def _apart(source: Held, stride: Sequence[int]) -> Held:
    """What integers hold, with so many zeros less one between neighbours along the last axes."""
    q = source.q
    zero = apply(Full(0, (), q.dtype)) if source.zero is None else apply(Cast(q.dtype), source.zero)
    for axis, step in enumerate(stride, q.rank - len(stride)):
        if step == 1:
            continue
        shape = tuple(size * step if i == axis else size for i, size in enumerate(q.shape))
        spread = apply(Stack(axis + 1), q, *[apply(Expand(q.shape), zero)] * (step - 1))
        last = tuple(size - (step - 1) if i == axis else size for i, size in enumerate(shape))
        q = apply(Slice((0,) * q.rank, last, (1,) * q.rank), apply(Reshape(shape), spread))
    return Held(q, source.scale, source.zero)


def _turned(weight: Value, op: ConvTranspose) -> Value:
    """A weight [C, O / groups, *K] as that of a convolution, [O, C / groups, *K], backwards along K."""
    inputs, outputs, *kernel = weight.shape
    share = divide(inputs, op.groups)
    assert share is not None
    apart = apply(Reshape((op.groups, share, outputs, *kernel)), apply(Flip(tuple(range(2, weight.rank))), weight))
    beside = apply(Transpose((0, 2, 1, *range(3, apart.rank))), apart)
    return apply(Reshape((op.groups * outputs, share, *kernel)), beside)


def _outputs(kernel: Held, groups: Size) -> Value | None:
    """The scales of a weight [C, O, *K] as those of one [O, C, *K]; None where they are not those of outputs."""
    shape = kernel.scale.shape
    if not shape:
        return kernel.scale
    if groups != 1 or len(shape) != kernel.q.rank or any(size != 1 for i, size in enumerate(shape) if i != 1):
        return None
    return apply(Reshape((shape[1], *(1,) * (len(shape) - 1))), kernel.scale)
