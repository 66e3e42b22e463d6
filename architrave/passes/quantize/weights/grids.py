"""The integers that weights of fully connected layers are held in: those they lie on, or the nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from architrave.ir import build
from architrave.ir.dims import divide
from architrave.ir.graph import Value, apply
from architrave.ir.ops.leaves import Param
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.packing import Pack
from architrave.ir.ops.quantize import FakeQuantize, Quantize
from architrave.ir.ops.shape import Expand, Reshape
from architrave.ir.ops.weight_only import WIDTHS
from architrave.ir.types import DType


@dataclass(frozen=True)
class Grid:
    """How a weight [O, I] is held: `grouped` is that weight as [O, G, I / G], scale and zero are [O, G]."""

    weight: Value
    grouped: Value
    op: Quantize
    scale: Value
    zero: Value | None = None
    settings: tuple[Value, ...] = ()
    """The weights that set the scale and the zero point, where something has rounded it before."""

    @property
    def width(self) -> int:
        """The bits that a code takes."""
        return next(width for width in WIDTHS if self.op.bits <= width)

    @property
    def codes(self) -> Value:
        """The integers, packed."""
        affine = (apply(Reshape((*v.shape, 1)), v) for v in (self.scale, self.zero) if v is not None)
        steps = apply(Reshape(self.weight.shape), apply(self.op, self.grouped, *affine))
        return steps if self.width == 8 else apply(Pack(self.width), steps)


def rounded(value: Value) -> tuple[Value, ...]:
    """A parameter and what becomes of it on its way to a layer, where it is rounded once; else the value alone."""
    path = [value]
    while isinstance(path[0].op, Reshape | FakeQuantize):
        path.insert(0, path[0].node.operands[0])
    roundings = [v for v in path if isinstance(v.op, FakeQuantize)]
    return tuple(path) if isinstance(path[0].op, Param) and len(roundings) == 1 else (value,)


def known(path: Sequence[Value]) -> Grid | str:
    """The integers that a weight has been rounded to, or why they are not such."""
    rounding = next(v.node for v in path if isinstance(v.op, FakeQuantize))
    bits, signed, narrow = (getattr(rounding.op, name) for name in ("bits", "signed", "narrow"))
    if bits > WIDTHS[-1]:
        return f"its weight is rounded to {bits} bits, and {WIDTHS[-1]} are the most"
    taken, *settings = rounding.operands
    out, inputs = path[0].shape
    shape = taken.shape if taken.rank == 3 else (out, 1, inputs)
    in_groups = taken.shape[0] == out and taken.rank in (2, 3)
    if not in_groups or any(v.rank and (v.rank != taken.rank or v.shape[-1] != 1) for v in settings):
        return "its scales are not those of groups of inputs"
    flat = [apply(Reshape(v.shape[:-1] if taken.rank == 3 else v.shape), v) for v in settings]
    scale, *zero = (apply(Expand(shape[:2]), v) for v in flat)
    grouped, op = apply(Reshape(shape), path[0]), Quantize(bits, signed, narrow)
    return Grid(path[0], grouped, op, scale, zero[0] if zero else None, tuple(settings))


def nearest(weight: Value, bits: int, group: int, symmetric: bool) -> Grid | str:
    """The integers that are nearest to a weight, with the smallest scale that cuts nothing off, or why there are none.

    Symmetric ones lie around 0; others reach from the least weight of a group to the largest, and to 0.
    """
    out, inputs = weight.shape
    groups = divide(inputs, group) if group else 1
    if groups is None:
        return f"groups of {group} do not divide its {inputs} inputs"
    grouped = apply(Reshape((out, groups, group or inputs)), weight)
    op = Quantize(bits, symmetric, narrow=symmetric)
    if symmetric:
        return Grid(weight, grouped, op, _step(build.max(build.abs(grouped), axes=(2,)), op))
    least: Value = build.minimum(build.min(grouped, axes=(2,)), 0.0)
    scale = _step(build.maximum(build.max(grouped, axes=(2,)), 0.0) - least, op)
    zero: Value = build.clip(build.round(-least / scale), lo=0.0, hi=float(op.bounds[1]))
    return Grid(weight, grouped, op, scale, apply(Cast(DType.I32), zero))


def _step(reach: Value, op: Quantize) -> Value:
    """The scale with which the largest integer is `reach`; 1 where that is 0."""
    step: Value = build.where(reach > 0.0, reach / float(op.bounds[1]), 1.0)
    return step
