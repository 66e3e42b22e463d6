"""Groups of numbers that share a power of two: the Microscaling (MX) formats.

Open Compute Project, "OCP Microscaling Formats (MX) Specification", version 1.0 (2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.dims import Size, divide
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed, without_gradient
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.minifloat import FORMATS, RoundMinifloat
from architrave.ir.ops.quantize import FakeQuantize
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, normalize_axis

Element = Literal["e4m3", "e5m2", "e3m2", "e2m3", "e2m1", "int8"]
LEAST = 2.0**-110
"""The least scale. The specification has `2 ** -127`, but not all processors multiply numbers below `2 ** -126`."""


class _Grouped(Op, register=False):
    """Of floats, of which each `group` neighbours along an axis share a scale."""

    format: Element = "e4m3"
    group: int = 32
    axis: int = -1

    @property
    def exponent(self) -> int:
        """That of the largest number of an element."""
        return 0 if self.format == "int8" else int(np.frexp(FORMATS[self.format].largest)[1]) - 1

    @property
    def spacing(self) -> tuple[int, float, float]:
        """Bits of the mantissa, the least normal number, and the largest number of an element.

        Those of int8 are evenly spaced, as are a minifloat's below its least normal number, and up to the double of it.
        """
        if self.format == "int8":
            return 6, 1.0, 127 / 64
        layout = FORMATS[self.format]
        return layout.mantissa, 2.0**layout.least, layout.largest

    def _groups(self, x: TensorType) -> Size:
        """How many groups there are along the axis. Raises E302, E303, E307."""
        if not x.dtype.is_float:
            raise error("E303", f"what `{self.name}` reads must hold floats, not {x}")
        if self.group < 1:
            raise error("E307", f"a group of `{self.name}` has at least one element, not {self.group}")
        size = x.shape[normalize_axis(self.axis, x.rank)]
        count = divide(size, self.group)
        if count is None:
            raise error("E307", f"`{self.name}`: groups of {self.group} do not divide axis {self.axis} of {x}")
        return count

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        rng = np.random.default_rng(0)
        spread = rng.standard_normal((6, 64)) * np.exp2(rng.integers(-90, 90, (6, 1)))
        spread[0, :32] = 0
        for name in (*FORMATS, "int8"):
            yield sample(spread.astype(np.float32).astype(float), format=name)
        yield sample(np.array([[1.0, np.nan], [np.inf, 2.0], [-3.0, 449.0]]), group=2)
        yield sample([2, 6, 3], group=3, axis=1, format="e2m1")
        yield sample(typed(DType.BF16, 4, 8), group=4)
        yield sample([0, 32])
        yield sample([2, 48], error="E307")
        yield sample([2, 32], group=0, error="E307")
        yield sample([2, 32], axis=2, error="E302")
        yield sample(typed(DType.I32, 2, 32), error="E303")


class MxScale(_Grouped):
    """The scale of each group, f32: `2 ** (floor(log2(max |x|)) - e)`, `e` the exponent of an element's largest number.

    The axis is `group` times shorter. A group with NaN has NaN, one with an infinity an infinite scale.
    """

    def infer(self, x: TensorType) -> TensorType:
        groups = self._groups(x)
        axis = normalize_axis(self.axis, x.rank)
        return TensorType(DType.F32, (*x.shape[:axis], groups, *x.shape[axis + 1 :]))

    def expand(self, x: Value) -> Value:
        axis = normalize_axis(self.axis, x.rank)
        sizes = build.abs(apply(Cast(DType.F32), build.stop_gradient(x)))
        grouped = apply(Reshape((*x.shape[:axis], self._groups(x.type), self.group, *x.shape[axis + 1 :])), sizes)
        powers = build.power_of_two(build.max(grouped, axes=[axis + 1]), rounding="down")
        scale: Value = build.maximum(powers * 2.0**-self.exponent, LEAST)
        return scale

    gradient = without_gradient


class RoundMx(_Grouped):
    """What is left of `x` in an MX format: each element over its group's scale is rounded half to even, saturating.

    Elements are those of `round_minifloat`, or of `int8`: 64ths from -127 to 127. A group with NaN or an infinity is
    NaN. The gradient goes straight through where an element does not saturate.
    """

    surrogate = "straight through the rounding"

    @property
    def bits(self) -> float:
        """What an element takes, with its share of the scale, which is a byte."""
        element = 8 if self.format == "int8" else RoundMinifloat(self.format).bits
        return element + 8 / self.group

    def infer(self, x: TensorType) -> TensorType:
        self._groups(x)
        return x

    def expand(self, x: Value) -> Value:
        axis = normalize_axis(self.axis, x.rank)
        scale = apply(MxScale(self.format, self.group, axis), x)
        spread = build.repeat_interleave(scale, self.group, axis)
        elements = apply(Cast(DType.F32), x) / spread
        if self.format == "int8":
            rounded = apply(FakeQuantize(narrow=True), elements, apply(Full(1 / 64, (), DType.F32)))
        else:
            rounded = apply(RoundMinifloat(self.format), elements)
        return apply(Cast(x.dtype), rounded * spread)
