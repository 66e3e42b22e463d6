"""Tables that functions of 8-bit integers are looked up in: values of a graph, which `hoist` makes weights of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from architrave.ir import build
from architrave.ir.graph import Value, apply
from architrave.ir.ops.integer_functions import ENTRIES
from architrave.ir.ops.integer_norm import places
from architrave.ir.ops.leaves import Arange, Full
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.quantize import Quantize
from architrave.ir.types import DType
from architrave.passes.quantize.integers.held import Held


def table(function: Callable[[Value], Value], source: Held, rounding: Quantize, *setting: Value) -> Value:
    """What a function of each element gives for every integer that can hold `source`: [256], for `lookup`.

    Each entry is that of `quantize(function(dequantize(q)))`, where `rounding` and its `setting` make integers of the
    result. `source` is of 8 bits, with one scale and one zero point.
    """
    return apply(rounding, function(every(source).number()), *setting)


def every(source: Held) -> Held:
    """Every integer of 8 bits that can hold what `source` does, in ascending order: [256]."""
    least = -128 if source.q.dtype is DType.I8 else 0
    return replace(source, q=apply(Cast(source.q.dtype), apply(Arange(ENTRIES, DType.I32)) + least))


def exponentials(scale: Value, bits: int) -> Value:
    """`2 ** bits * exp(-d * scale)` for d from 0 to 255, rounded half to even: the i32 [256] of `softmax_integer`."""
    below = apply(Cast(scale.dtype), apply(Arange(ENTRIES, DType.I32))) * -1.0 * scale
    rounded: Value = build.round(build.exp(below) * float(2**bits))
    return apply(Cast(DType.I32), rounded)


def eps_in_steps(eps: float, count: int, scale: Value) -> Value:
    """The `eps` of an integer norm over `count` elements of a scale: an i32 from 0 to 2**30."""
    steps: Value = build.round(apply(Full(count * 4 ** places(count) * eps, (), scale.dtype)) / (scale * scale))
    return apply(Cast(DType.I32), build.clip(steps, lo=0.0, hi=2.0**30))
