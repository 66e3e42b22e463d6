"""The bits of integers and floats."""

from __future__ import annotations

from typing import Any

from architrave.dsl.elaborate.builtins.arithmetic import operand, to_dtype
from architrave.dsl.elaborate.builtins.registry import BUILTINS, builtin, tensor
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.values import Builtin, apply_op
from architrave.ir.graph import Value
from architrave.ir.source import Span
from architrave.ir.types import DType


def _of_two(name: str) -> None:
    def run(frame: Frame, span: Span, a: Any, b: Any) -> Value:
        return apply_op(name, operand(a, name, span), operand(b, name, span))

    BUILTINS[name] = Builtin(name, run)


def _of_one(name: str) -> None:
    def run(frame: Frame, span: Span, x: Any) -> Value:
        return apply_op(name, tensor(x, span, name))

    BUILTINS[name] = Builtin(name, run)


for _name in ("bitwise_and", "bitwise_or", "bitwise_xor", "shift_left"):
    _of_two(_name)
for _name in ("bitwise_not", "popcount", "clz"):
    _of_one(_name)


@builtin("shift_right")
def _shift_right(frame: Frame, span: Span, a: Any, b: Any, logical: bool = False) -> Value:
    return apply_op("shift_right", operand(a, "shift_right", span), operand(b, "shift_right", span), logical=logical)


@builtin("bitcast")
def _bitcast(frame: Frame, span: Span, x: Any, dtype: Any) -> Value:
    x, wanted = tensor(x, span, "bitcast"), to_dtype(dtype, span)
    if x.dtype is not DType.BF16 or wanted is not DType.I16:
        return apply_op("bitcast", x, dtype=wanted)
    # The upper half of the same number in single precision.
    whole = apply_op("bitcast", apply_op("cast", x, dtype=DType.F32), dtype=DType.I32)
    return apply_op("cast", apply_op("shift_right", whole, 16), dtype=DType.I16)
