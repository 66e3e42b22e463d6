"""Rules for contractions of operands of few bits: functions that every backend's prelude has."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.backends.functional.windows import window_options


def add_low_bit(rules: Rules) -> None:
    """Add the rules of weights that are held in few bits, and of signs."""

    @rules.rule("linear_weight_only")
    def _linear_weight_only(at: Call) -> Code | None:
        x, _, scale, *_ = at.types
        if x.dtype is not scale.dtype:
            return None
        given = {"bits": literal(at.op.bits), "signed": literal(at.op.signed)}
        return call(at.use("linear_weight_only"), *at.args, **given)

    @rules.rule("linear_binary")
    def _linear_binary(at: Call) -> Code:
        return call(at.use("linear_binary"), *at.args)

    @rules.rule("conv_binary")
    def _conv_binary(at: Call) -> Code:
        return call(at.use("convolve_binary"), *at.args, **window_options(at))
