"""Which operands are rounded where a network is quantized, and what hands integers on as they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from architrave.ir.graph import Node, Value
from architrave.ir.op import Op
from architrave.ir.ops.activation import Activation, Clip, Relu, Softmax
from architrave.ir.ops.adaptive import AdaptiveAvgPool
from architrave.ir.ops.arithmetic import Add, Divide, Multiply, Subtract
from architrave.ir.ops.contraction import Einsum, Linear, Matmul
from architrave.ir.ops.conv import Conv, ConvTranspose
from architrave.ir.ops.elementwise import FloatUnary
from architrave.ir.ops.join import Concat, Pad, Slice, Stack
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Where
from architrave.ir.ops.norm import BatchNorm, GroupNorm, LayerNorm, RmsNorm
from architrave.ir.ops.piecewise import HardTanh, Relu6
from architrave.ir.ops.pooling import AvgPool, MaxPool
from architrave.ir.ops.reduce import Sum
from architrave.ir.ops.shape import Expand, Flatten, Flip, RepeatInterleave, Reshape, Squeeze, Transpose, Unsqueeze
from architrave.ir.ops.statistics import Mean, Norm

CONTRACTIONS: tuple[type[Op], ...] = (Conv, ConvTranspose, Linear, Matmul, Einsum)
"""Sums of products: what quantization is there for."""
JOINS: tuple[type[Op], ...] = (
    *(Add, Subtract, Multiply, Concat, Stack, BatchNorm),
    *(Mean, Sum, AvgPool, AdaptiveAvgPool),
)
"""What else integer arithmetic does to a tensor, between contractions."""
FUNCTIONS: tuple[type[Op], ...] = (Activation, FloatUnary, Softmax, LayerNorm, RmsNorm, GroupNorm, Norm, Divide)
"""What integers need tables, roots and quotients for."""
BOUNDED: tuple[type[Op], ...] = (Relu, Relu6, Clip, HardTanh)
"""What only cuts numbers off, as rounding does: it is not rounded before, but after."""
MOVES: tuple[type[Op], ...] = (
    *(Reshape, Transpose, Flatten, Squeeze, Unsqueeze, Expand, Slice, Flip, RepeatInterleave),
    MaxPool,
)
"""What moves or chooses elements: of rounded ones it makes rounded ones."""


def rounded_operands(node: Node, functions: bool) -> Sequence[int]:
    """Which operands of a node are rounded: floats of which it makes new numbers. A bias is not among them."""
    kinds = (*CONTRACTIONS, *JOINS, *(FUNCTIONS if functions else ()))
    if not isinstance(node.op, kinds) or isinstance(node.op, BOUNDED) or handed_on(node) is not None:
        return ()
    count = 2 if isinstance(node.op, Conv | ConvTranspose | Linear) else len(node.operands)
    count = 1 if isinstance(node.op, (BatchNorm, *FUNCTIONS)) and not isinstance(node.op, Divide) else count
    return [i for i, v in enumerate(node.operands[:count]) if v.dtype.is_float and not _is_number(v)]


def handed_on(node: Node) -> int | None:
    """Which operand of a node it hands on as rounded as that is; None where it does not.

    It is moved, padded, times a number, or masked: a softmax knows the minus infinity that no integer stands for.
    """
    if isinstance(node.op, MOVES):
        return 0
    if isinstance(node.op, Pad) and (node.op.mode != "constant" or node.op.value == 0):
        return 0
    if isinstance(node.op, Where) and (is_full(node.operands[2], 0.0) or is_full(node.operands[2], -math.inf)):
        return 1
    if not isinstance(node.op, Multiply | Divide):
        return None
    a, b = node.operands
    return 0 if _is_number(b) else 1 if isinstance(node.op, Multiply) and _is_number(a) else None


def is_full(value: Value, number: float) -> bool:
    """Whether a value is this one number, for all elements."""
    return isinstance(value.op, Full) and not value.shape and value.op.value == number


def weight_axis(op: Op) -> int | None:
    """The axis of a weight along which the outputs of a contraction lie; None where that depends."""
    if isinstance(op, ConvTranspose) and op.groups == 1:
        return 1
    return 0 if isinstance(op, Conv | Linear) else None


def _is_number(value: Value) -> bool:
    """Whether a value is one number for all, which goes into a scale."""
    return not value.node.operands and value.rank == 0
