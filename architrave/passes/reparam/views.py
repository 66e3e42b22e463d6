"""Seeing nodes as affine maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from architrave.ir.arrays import known
from architrave.ir.graph import Node, Value, apply
from architrave.ir.ops.arithmetic import Add, Divide, Multiply, Subtract
from architrave.ir.ops.contraction import Einsum, Linear, Matmul, terms
from architrave.ir.ops.conv import Conv, ConvTranspose
from architrave.ir.ops.elementwise import Negative, Rsqrt
from architrave.ir.ops.norm import BatchNorm
from architrave.ir.ops.pooling import AvgPool
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.passes.reparam.affine import IN_GROUPS, Affine, Dense, Scale, Transposed, Window, full
from architrave.passes.static import Static

View = Callable[[Any, Node, Static], "Affine | None"]


def view(value: Value, static: Static) -> Affine | None:
    """The value as an affine map of what its node is applied to; None where it is none."""
    seen = VIEWS.get(type(value.op))
    if seen is None or not value.dtype.is_float or value in static or any(f.name == "keep" for f in value.node.facts):
        return None
    found = seen(value.op, value.node, static)
    return found if found is not None and found.x.dtype is value.dtype else None


def _conv(op: Conv, node: Node, static: Static) -> Dense | None:
    x, weight, *bias = node.operands
    if x in static or any(v not in static for v in (weight, *bias)) or not isinstance(op.groups, int):
        return None
    window = Window.of(x.rank - 2, op.stride, op.padding, op.dilation, op.groups)
    return Dense(x, 1, weight, bias[0] if bias else None, window, node.outputs[0].shape, node.marks)


def _conv_transpose(op: ConvTranspose, node: Node, static: Static) -> Transposed | None:
    x, weight, *bias = node.operands
    if x in static or any(v not in static for v in (weight, *bias)) or not isinstance(op.groups, int):
        return None
    return Transposed(x, weight, bias[0] if bias else None, op, node.outputs[0].shape, node.marks)


def _linear(op: Linear, node: Node, static: Static) -> Dense | None:
    x, weight, *bias = node.operands
    if x in static or any(v not in static for v in (weight, *bias)):
        return None
    return Dense(x, x.rank - 1, weight, bias[0] if bias else None, Window(), node.outputs[0].shape, node.marks)


def _matmul(op: Matmul, node: Node, static: Static) -> Dense | None:
    x, matrix = node.operands
    if x in static or matrix not in static or matrix.rank != 2:
        return None
    return Dense(x, x.rank - 1, apply(Transpose((1, 0)), matrix), None, Window(), node.outputs[0].shape, node.marks)


def _einsum(op: Einsum, node: Node, static: Static) -> Dense | None:
    """A product with a matrix over the last axis, in whatever order its letters stand."""
    if len(node.operands) != 2:
        return None
    (first, second), result = terms(op.equation)
    x, matrix = node.operands
    if x in static:
        x, matrix, first, second = matrix, x, second, first
    if x in static or matrix not in static or matrix.rank != 2 or not first or set(second) != {first[-1], result[-1]}:
        return None
    if result != (*first[:-1], result[-1]) or result[-1] in first:
        return None
    weight = matrix if second == (result[-1], first[-1]) else apply(Transpose((1, 0)), matrix)
    return Dense(x, x.rank - 1, weight, None, Window(), node.outputs[0].shape, node.marks)


def _in_groups(op: Reshape, node: Node, static: Static) -> Dense | None:
    """A linear layer in groups: its channels are parted, mapped and joined again."""
    product = node.operands[0]
    if not isinstance(product.op, Einsum) or product.op.equation != IN_GROUPS:
        return None
    parted, weight = product.node.operands
    if not isinstance(parted.op, Reshape) or weight not in static or parted in static:
        return None
    (x,), (groups, out, share) = parted.node.operands, weight.shape
    whole = all(isinstance(size, int) for size in weight.shape) and x.rank == parted.rank - 1
    if not whole or x.shape[:-1] != parted.shape[:-2] or node.outputs[0].shape != (*x.shape[:-1], groups * out):
        return None
    matrix = apply(Reshape((groups * out, share)), weight)
    window = Window.of(0, (), (), (), known(groups))
    return Dense(x, x.rank - 1, matrix, None, window, node.outputs[0].shape, node.marks)


def _average(op: AvgPool, node: Node, static: Static) -> Dense | None:
    """A mean that counts the zeros around is the same everywhere; one that does not is no convolution at the border."""
    (x,) = node.operands
    channels = x.shape[1] if x.rank > 1 else None
    window = Window.of(len(op.kernel), op.stride or op.kernel, op.padding, (), 1)
    if x.rank != len(op.kernel) + 2 or not isinstance(channels, int) or (window.is_padded and not op.count_padding):
        return None
    count = 1
    for k in op.kernel:
        count *= k
    weight = full(1 / count, (channels, 1, *op.kernel), x)
    window = Window(window.stride, window.padding, window.dilation, channels)
    return Dense(x, 1, weight, None, window, node.outputs[0].shape, node.marks)


def _batch_norm(op: BatchNorm, node: Node, static: Static) -> Scale | None:
    x, mean, variance, *affine = node.operands
    if x in static or any(v not in static for v in node.operands[1:]):
        return None
    scale = apply(Rsqrt(), variance + op.eps)
    if affine:
        scale = affine[0] * scale
    shift = -(mean * scale)
    return Scale(x, 1, scale, affine[1] + shift if len(affine) > 1 else shift)


def _sum(op: Add | Subtract, node: Node, static: Static) -> Scale | None:
    a, b = node.operands
    if b in static:
        return _shifted(node, a, b if isinstance(op, Add) else -b)
    if a not in static:
        return None
    found = _shifted(node, b, a)
    if found is None or isinstance(op, Add):
        return found
    return Scale(b, found.axis, full(-1.0, () if found.axis is None else (b.shape[found.axis],), b), found.shift)


def _shifted(node: Node, x: Value, shift: Value) -> Scale | None:
    vector = _vector(node, x, shift)
    return None if vector is None else Scale(x, vector[0], None, vector[1])


def _product(op: Multiply, node: Node, static: Static) -> Scale | None:
    a, b = node.operands
    if b in static:
        return _scaled(node, a, b)
    return _scaled(node, b, a) if a in static else None


def _quotient(op: Divide, node: Node, static: Static) -> Scale | None:
    a, b = node.operands
    return _scaled(node, a, 1.0 / b) if b in static else None


def _scaled(node: Node, x: Value, factor: Value) -> Scale | None:
    vector = _vector(node, x, factor)
    return None if vector is None else Scale(x, *vector)


def _negative(op: Negative, node: Node, static: Static) -> Scale:
    (x,) = node.operands
    return Scale(x, None, full(-1.0, (), x))


def _vector(node: Node, x: Value, factor: Value) -> tuple[int | None, Value] | None:
    """A factor or term as a scalar, or as a vector along one axis of x: that axis, and it. None where it is neither."""
    if node.outputs[0].type != x.type or factor.dtype is not x.dtype:
        return None
    axes = [x.rank - factor.rank + i for i, size in enumerate(factor.shape) if size != 1]
    if not axes:
        return None, factor if not factor.rank else apply(Reshape(()), factor)
    if len(axes) > 1:
        return None
    (axis,) = axes
    return axis, factor if factor.rank == 1 else apply(Reshape((x.shape[axis],)), factor)


VIEWS: dict[type, View] = {
    Conv: _conv,
    ConvTranspose: _conv_transpose,
    Linear: _linear,
    Matmul: _matmul,
    Einsum: _einsum,
    Reshape: _in_groups,
    AvgPool: _average,
    BatchNorm: _batch_norm,
    Add: _sum,
    Subtract: _sum,
    Multiply: _product,
    Divide: _quotient,
    Negative: _negative,
}
"""How each operator is seen. What is affine and not here is no obstacle, but stays as it is."""
