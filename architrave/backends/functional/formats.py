"""Rules for number formats: functions of the preludes, which share their names and arguments on every backend."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.ir.types import DType


def add_formats(rules: Rules) -> None:
    """Add the rules of packed integers, of minifloats, and of products made by adding bits."""

    @rules.rule("pack")
    def _pack(at: Call) -> Code:
        return call(at.use("pack"), *at.args, bits=literal(at.op.bits))

    @rules.rule("unpack")
    def _unpack(at: Call) -> Code:
        dtype = at.dtype(at.results[0].dtype)
        return call(at.use("unpack"), *at.args, bits=literal(at.op.bits), dtype=dtype)

    @rules.rule("power_of_two")
    def _power_of_two(at: Call) -> Code:
        return call(at.use("power_of_two"), *at.args, offset=literal(at.op.offset))

    @rules.rule("round_mantissa")
    def _round_mantissa(at: Call) -> Code:
        half = literal(at.op.rounding == "nearest")
        return call(at.use("round_mantissa"), *at.args, bits=literal(at.op.bits), half=half)

    @rules.rule("round_minifloat")
    def _round_minifloat(at: Call) -> Code:
        layout = at.op.layout
        return call(
            at.use("round_minifloat"),
            *at.args,
            mantissa=literal(layout.mantissa),
            least=literal(2.0**layout.least),
            largest=literal(layout.largest),
            beyond=literal(layout.largest if at.op.saturate else layout.beyond),
        )

    @rules.rule("to_minifloat")
    def _to_minifloat(at: Call) -> Code:
        layout = at.op.layout
        return call(
            at.use("to_minifloat"),
            *at.args,
            mantissa=literal(layout.mantissa),
            least=literal(layout.least),
            top=literal(layout.top + (not at.op.saturate)),
            sign=literal(layout.sign),
            nan=literal(layout.nan),
        )

    @rules.rule("from_minifloat")
    def _from_minifloat(at: Call) -> Code:
        layout = at.op.layout
        return call(
            at.use("from_minifloat"),
            *at.args,
            mantissa=literal(layout.mantissa),
            least=literal(layout.least),
            top=literal(layout.top),
            sign=literal(layout.sign),
            beyond=literal(layout.beyond),
            dtype=at.dtype(DType.FLOAT),
        )

    @rules.rule("round_mx")
    def _round_mx(at: Call) -> Code:
        mantissa, least, largest = at.op.spacing
        return call(
            at.use("round_mx"),
            *at.args,
            axis=literal(at.op.axis),
            group=literal(at.op.group),
            exponent=literal(at.op.exponent),
            mantissa=literal(mantissa),
            least=literal(least),
            largest=literal(largest),
        )

    @rules.rule("l_mul", "l_mul_matmul")
    def _l_mul(at: Call) -> Code:
        return call(
            at.use(at.op.name),
            *at.args,
            mantissa=literal(at.op.mantissa),
            offset=literal(at.op.offset),
            dtype=at.dtype(at.results[0].dtype),
        )
