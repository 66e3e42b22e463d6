"""Rules for the bits of numbers, which NumPy and JAX write alike where both have them."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, infix, literal, prefix
from architrave.backends.functional.dtypes import promoted
from architrave.ir.ops.bits import WIDTHS

_INFIX = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}
_SHIFTS = {"shift_left": "<<", "shift_right": ">>"}


def add_bits(rules: Rules, np: str) -> None:
    """Add the rules that write operators of Python, and call functions of the preludes."""

    @rules.rule(*_INFIX, scalars=True)
    def _bitwise(at: Call) -> Code:
        a, b = promoted(at, np)
        return infix(a, _INFIX[at.op.name], b)

    @rules.rule("bitwise_not")
    def _not(at: Call) -> Code:
        return prefix("~", at.args[0])

    @rules.rule(*_SHIFTS, scalars=True)
    def _shift(at: Call) -> Code:
        x, count = at.args
        logical = getattr(at.op, "logical", False)
        if x.number is None and is_inside(at) and not logical:
            return infix(x, _SHIFTS[at.op.name], count)
        args = (
            call(f"{np}.asarray", code, at.dtype(type.dtype)) if code.number is not None else code
            for code, type in zip(at.args, at.types, strict=True)
        )
        return call(at.use(at.op.name), *args, **({"logical": literal(True)} if logical else {}))


def is_inside(at: Call) -> bool:
    """Whether a count is a number that leaves some bits."""
    number = at.args[1].number
    return isinstance(number, int) and 0 <= number < WIDTHS[at.types[0].dtype]
