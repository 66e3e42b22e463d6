"""Rules for the integers of quantized networks: functions of the preludes, which share their names and arguments."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call
from architrave.backends.functional.quantize import rounding
from architrave.backends.functional.windows import window_options
from architrave.ir.ops.quantize import holder


def add_integer(rules: Rules) -> None:
    """Add the rules of contractions of integers, and of what brings their sums back to few bits."""

    @rules.rule("linear_integer", "matmul_integer")
    def _product(at: Call) -> Code:
        return call(at.use(at.op.name), *at.args)

    @rules.rule("conv_integer")
    def _conv(at: Call) -> Code:
        return call(at.use("convolve_integer"), *at.args, **window_options(at))

    @rules.rule("requantize")
    def _requantize(at: Call) -> Code:
        return rounding(at, dtype=Code(at.dtype(holder(at.op.bits, at.op.signed))))
