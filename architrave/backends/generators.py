"""Which generator a program draws random numbers with: ours, the same everywhere, or that of its framework.

A backend that offers its framework's has the functions `draw_bits`, `draw_uniform`, `draw_normal` and
`draw_bernoulli` in its prelude; the rules below put them in the place of its own.
"""

from __future__ import annotations

from architrave.backends.base import Call, Rules
from architrave.backends.code import Code, call, literal
from architrave.ir.types import DType

FRAMEWORK = Rules()
"""Rules that draw with the framework's generator, under a key made of the run's key and the place."""


@FRAMEWORK.rule("random_bits")
def _bits(at: Call) -> Code:
    return call(at.use("draw_bits"), at.args[0], at.path(at.op.path), at.shape(at.op.shape))


@FRAMEWORK.rule("random_uniform")
def _uniform(at: Call) -> Code:
    return _of_floats(at, "draw_uniform")


@FRAMEWORK.rule("random_normal")
def _normal(at: Call) -> Code:
    return _of_floats(at, "draw_normal")


@FRAMEWORK.rule("random_bernoulli")
def _bernoulli(at: Call) -> Code:
    p = literal(at.op.p)
    return call(at.use("draw_bernoulli"), at.args[0], at.path(at.op.path), p, at.shape(at.op.shape))


def _of_floats(at: Call, name: str) -> Code:
    dtype = at.dtype(DType.FLOAT)
    return call(at.use(name), at.args[0], at.path(at.op.path), at.shape(at.op.shape), dtype)
