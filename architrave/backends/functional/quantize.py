"""Rules for quantization: functions of the preludes, which share their names and arguments on every backend."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.ir.ops.quantize import holder


def add_quantize(rules: Rules) -> None:
    """Add the rules of affine quantization, and of bits."""

    @rules.rule("quantize")
    def _quantize(at: Call) -> Code:
        return rounding(at, dtype=Code(at.dtype(holder(at.op.bits, at.op.signed))))

    @rules.rule("fake_quantize")
    def _fake_quantize(at: Call) -> Code:
        learning: dict[str, Code] = {}
        if at.op.gain != 1:
            learning["gain"] = literal(at.op.gain)
        if at.op.clipped_only:
            learning["clipped_only"] = literal(True)
        return rounding(at, **learning)

    @rules.rule("binarize")
    def _binarize(at: Call) -> Code:
        return call(at.use("binarize"), *at.args)


def rounding(at: Call, **options: Code) -> Code:
    """A call of the function that has the operator's name, with the bounds of its integers."""
    lo, hi = at.op.bounds
    return call(at.use(at.op.name), *at.args, lo=literal(lo), hi=literal(hi), **options)
