"""Floats of four to eight bits: those of FP8, and the elements of Microscaling formats.

Micikevicius and others, "FP8 Formats for Deep Learning" (2022); Open Compute Project, "OCP Microscaling Formats (MX)
Specification", version 1.0 (2023). What is rounded is a float32 first, whatever the precision of the run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.graph import Value
from architrave.ir.op import Gradients, Op, Sample, Values, elementwise, sample, typed, without_gradient
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

Name = Literal["e4m3", "e5m2", "e3m2", "e2m3", "e2m1"]


@dataclass(frozen=True)
class Format:
    """A sign, `exponent` bits and `mantissa` bits. Codes up to `top` are numbers, in ascending order.

    `beyond` is what the code after `top` stands for, None where there is none; the codes after that are NaN.
    """

    exponent: int
    mantissa: int
    top: int
    beyond: float | None = None

    @property
    def sign(self) -> int:
        """The bit of the sign."""
        return 1 << self.exponent + self.mantissa

    @property
    def least(self) -> int:
        """The exponent of the least normal number."""
        return 2 - (1 << self.exponent - 1)

    @property
    def largest(self) -> float:
        """The largest number."""
        return float(self.value(np.array(self.top)))

    @property
    def nan(self) -> int:
        """The code of NaN; 0 where there is none."""
        return 0 if self.beyond is None else self.sign - 1

    def value(self, code: Array) -> Array:
        """The numbers of codes without a sign, also of `top + 1` as if it were one."""
        power = np.maximum(code >> self.mantissa, 1)
        steps = code - (power - 1 << self.mantissa)
        numbers: Array = steps * 2.0 ** (power - 1 + self.least - self.mantissa)
        return numbers

    def nearest(self, size: Array) -> Array:
        """The codes of the numbers nearest to `size`, which is not negative; half to even. `top + 1` is beyond."""
        numbers = self.value(np.arange(self.top + 2))
        middles = (numbers[1:] + numbers[:-1]) / 2
        below, above = (np.searchsorted(middles, size, side) for side in ("left", "right"))
        return np.where(below % 2 == 0, below, above)


FORMATS: dict[str, Format] = {
    "e4m3": Format(4, 3, 0x7E, math.nan),
    "e5m2": Format(5, 2, 0x7B, math.inf),
    "e3m2": Format(3, 2, 0x1F),
    "e2m3": Format(2, 3, 0x1F),
    "e2m1": Format(2, 1, 0x07),
}
"""The elements of MX: `e4m3` is that of FP8 which has no infinities, torch's `float8_e4m3fn`."""


class _Rounding(Op, register=False):
    """Of floats to the nearest numbers of a format."""

    format: Name = "e4m3"
    saturate: bool = True

    @property
    def layout(self) -> Format:
        """The format."""
        return FORMATS[self.format]

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_float:
            raise error("E303", f"what `{self.name}` rounds must hold floats, not {x}")
        if not self.saturate and self.layout.beyond is None:
            what = f"`{self.name}`: all codes of {self.format} are numbers, so that it always saturates"
            raise error("E307", what)
        return x

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        edges = np.array([0.0, -0.0, 1e-30, -1e-30, 1e30, np.inf, -np.inf, np.nan])
        for name, layout in FORMATS.items():
            numbers = layout.value(np.arange(layout.top + 2))
            ties = (numbers[1:] + numbers[:-1]) / 2
            near = np.concatenate([numbers, ties, -ties, ties * (1 + 2.0**-20), -ties * (1 - 2.0**-20)])
            for saturate in (True, False) if layout.beyond is not None else (True,):
                yield sample(near, format=name, saturate=saturate)
                yield sample(edges, format=name, saturate=saturate)
        yield sample([2, 3])
        yield sample([])
        yield sample([0, 3])
        yield sample(typed(DType.F16, 5))
        yield sample([2], format="e2m1", saturate=False, error="E307")
        yield sample(typed(DType.I32, 2), error="E303")


class RoundMinifloat(_Rounding):
    """The nearest number of a format, half to even, for each of `x`; NaN stays NaN.

    Formats are `e4m3` (up to 448), `e5m2` (57344), `e3m2` (28), `e2m3` (7.5) and `e2m1` (6). What is larger becomes the
    largest number; without `saturate` NaN in `e4m3` and infinite in `e5m2`. The gradient goes straight through up to
    the largest number, and is 0 beyond it.
    """

    surrogate = "straight through the rounding"

    @property
    def bits(self) -> int:
        """What an element takes."""
        return 1 + self.layout.exponent + self.layout.mantissa

    def reference(self, x: Array) -> Array:
        single = x.astype(np.float32).astype(np.float64)
        layout = self.layout
        size = layout.value(np.minimum(layout.nearest(np.abs(single)), layout.top + 1))
        beyond = layout.largest if self.saturate or layout.beyond is None else layout.beyond
        size = np.where(size > layout.largest, beyond, size)
        return np.where(np.isnan(x), x, np.copysign(size, single))

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        inside: Value = build.abs(operands[0]) <= self.layout.largest
        return (build.where(inside, cotangents[0], 0.0),)


class ToMinifloat(_Rounding):
    """The codes, u8, of what `round_minifloat` gives: the sign above the exponent above the mantissa, in the low bits.

    Of NaN it is all ones without the sign, and 0 in the formats that have none.
    """

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(DType.U8)

    def reference(self, x: Array) -> Array:
        single = x.astype(np.float32).astype(np.float64)
        layout = self.layout
        size = np.minimum(layout.nearest(np.abs(single)), layout.top + (not self.saturate))
        return np.where(np.isnan(x), layout.nan, size + layout.sign * np.signbit(single)).astype(np.uint8)

    gradient = without_gradient


class FromMinifloat(Op):
    """The numbers that codes stand for, u8 as `to_minifloat` gives them. Bits above the sign are not looked at."""

    format: Name = "e4m3"

    @property
    def layout(self) -> Format:
        """The format."""
        return FORMATS[self.format]

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype is not DType.U8:
            raise error("E303", f"codes of floats are u8, not {x}")
        return x.with_dtype(DType.FLOAT)

    def reference(self, x: Array) -> Array:
        layout = self.layout
        code = x.astype(np.int64) % layout.sign
        beyond = np.where(code == layout.top + 1, layout.beyond or math.nan, math.nan)
        size = np.where(code > layout.top, beyond, layout.value(code))
        return np.where(x & layout.sign, -size, size)

    gradient = without_gradient

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for name in FORMATS:
            yield sample(np.arange(256).astype(np.uint8), format=name)
        yield sample(typed(DType.U8, 0, 3))
        yield sample(typed(DType.U8))
        yield sample(typed(DType.I8, 2), error="E303")
