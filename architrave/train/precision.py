"""Mixed precision: the network computes in bfloat16, its weights and its loss stay as they are.

Micikevicius and others, "Mixed Precision Training" (2018). bfloat16 has the exponents of float32, so that no loss needs
to be scaled.
"""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.control import Control
from architrave.ir.ops.leaves import Input, Param
from architrave.ir.rewrite import kept, rebuild
from architrave.ir.types import DType


def mixed(graph: Graph) -> Graph:
    """The graph of one mode with weights and inputs cast to bfloat16 where they are used, and outputs cast back.

    Operators that hold graphs, such as loops, stay in the precision of the weights.
    """
    narrow: dict[Value, Value] = {}

    def rewrite(node: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if isinstance(node.op, Control):
            return kept(node, tuple(_cast(v, DType.FLOAT) if _is_narrow(v) else v for v in operands))
        if not operands:
            return None
        return kept(node, tuple(narrowed(v) for v in operands))

    def narrowed(value: Value) -> Value:
        if not isinstance(value.op, Param | Input) or value.dtype is not DType.FLOAT:
            return value
        if value not in narrow:
            narrow[value] = _cast(value, DType.BF16)
        return narrow[value]

    changed = rebuild(graph, rewrite)
    return rebuild(
        changed,
        lambda node, operands: None,
        outputs=tuple(_cast(v, DType.FLOAT) if _is_narrow(v) else v for v in changed.outputs),
        updates=tuple(
            (old, _cast(new, old.dtype) if new.dtype is not old.dtype else new) for old, new in changed.updates
        ),
    )


def _is_narrow(value: Value) -> bool:
    return value.dtype is DType.BF16


def _cast(value: Value, dtype: DType) -> Value:
    result: Value = build.cast(value, dtype)
    return result
