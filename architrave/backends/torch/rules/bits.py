"""The bits of numbers. A u32 is held as an int64."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, infix, literal, method, prefix
from architrave.backends.torch.rules.typed import promoted, with_tensor
from architrave.ir.ops.bits import WIDTHS
from architrave.ir.types import DType

bits = Rules()

_INFIX = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}
_MASK = Code("0xFFFFFFFF")


@bits.rule(*_INFIX, scalars=True)
def _bitwise(at: Call) -> Code:
    a, b = with_tensor(at, promoted(at), at.results[0].dtype)
    return infix(a, _INFIX[at.op.name], b)


@bits.rule("bitwise_not")
def _not(at: Call) -> Code:
    if at.types[0].dtype is DType.U32:
        return infix(at.args[0], "^", _MASK)
    return prefix("~", at.args[0])


@bits.rule("shift_left", "shift_right")
def _shift(at: Call) -> Code:
    options = {"logical": literal(True)} if getattr(at.op, "logical", False) else {}
    return call(at.use(at.op.name), *at.args, literal(WIDTHS[at.types[0].dtype]), **options)


@bits.rule("popcount", "clz")
def _counted(at: Call) -> Code:
    return call(at.use(at.op.name), at.args[0], literal(WIDTHS[at.types[0].dtype]))


@bits.rule("bitcast")
def _bitcast(at: Call) -> Code:
    source, target, x = at.types[0].dtype, at.op.dtype, at.args[0]
    if source is DType.U32:
        x = method(x, "to", "torch.int32")
    if target is not DType.U32:
        return method(x, "view", at.dtype(target))
    narrow = x if source in (DType.I32, DType.U32) else method(x, "view", "torch.int32")
    return infix(method(narrow, "long"), "&", _MASK)
