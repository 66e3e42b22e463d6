"""Complex numbers."""

from __future__ import annotations

from typing import Any

from architrave.dsl.elaborate.builtins.arithmetic import operand
from architrave.dsl.elaborate.builtins.registry import BUILTINS, builtin, tensor
from architrave.dsl.elaborate.core import Frame
from architrave.dsl.elaborate.values import Builtin, apply_op
from architrave.ir.graph import Value
from architrave.ir.source import Span


def _of_complex(name: str) -> None:
    def run(frame: Frame, span: Span, x: Any) -> Value:
        return apply_op(name, tensor(x, span, name))

    BUILTINS[name] = Builtin(name, run)


for _name in ("real", "imag", "conj", "angle"):
    _of_complex(_name)


@builtin("complex")
def _complex(frame: Frame, span: Span, re: Any, im: Any) -> Value:
    return apply_op("complex", operand(re, "complex", span), operand(im, "complex", span))


@builtin("atan2")
def _atan2(frame: Frame, span: Span, a: Any, b: Any) -> Value:
    return apply_op("atan2", operand(a, "atan2", span), operand(b, "atan2", span))
