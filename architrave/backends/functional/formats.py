"""Rules for number formats: functions of the preludes, which share their names and arguments on every backend."""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal


def add_formats(rules: Rules) -> None:
    """Add the rules of packed integers, of minifloats, and of products made by adding bits."""

    @rules.rule("pack")
    def _pack(at: Call) -> Code:
        return call(at.use("pack"), *at.args, bits=literal(at.op.bits))

    @rules.rule("unpack")
    def _unpack(at: Call) -> Code:
        dtype = at.dtype(at.results[0].dtype)
        return call(at.use("unpack"), *at.args, bits=literal(at.op.bits), dtype=dtype)
