"""Mixed precision: contractions compute in bfloat16; weights, sums, normalization and the loss stay as they are.

Micikevicius and others, "Mixed Precision Training" (2018). bfloat16 has the exponents of float32, so that no loss needs
to be scaled. One rule says what is rounded: the operands and the result of each operator that has multiply-adds,
forward and, by the gradient of the casts, backward. What lies between is computed in the precision of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.nested import rebuild_nested, remade
from architrave.ir.op import Op
from architrave.ir.ops.logic import Cast
from architrave.ir.types import DType


def mixed(graph: Graph) -> Graph:
    """The graph with its contractions in bfloat16, those inside loops and modes too. Types of results stay."""

    def rewrite(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not is_contraction(op) or node.outputs[0].dtype is not DType.FLOAT:
            return None
        narrow = (_cast(v, DType.BF16, node) if v.dtype is DType.FLOAT else v for v in operands)
        return [_cast(v, DType.FLOAT, node) for v in remade(node, op, tuple(narrow))]

    return rebuild_nested(graph, rewrite)


def is_contraction(op: Op) -> bool:
    """Whether an operator multiplies and adds, as convolutions and matrix products do."""
    return type(op).multiply_adds is not Op.multiply_adds


def _cast(value: Value, dtype: DType, node: Node) -> Value:
    """The value in another dtype, at the place of `node`."""
    return make(Cast(dtype), (value,), node.marks).outputs[0]
