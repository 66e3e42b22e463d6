"""Floats with fewer bits in their mantissa, down to none: powers of two.

They are computed from the bits of float32, whatever the precision of the run, so that no rounding of a logarithm can
tell backends apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.graph import Value
from architrave.ir.op import Gradients, Op, Sample, Values, elementwise, sample, typed
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

MANTISSA = 23
"""The bits of float32's mantissa, beside the leading one."""
LEADING = 1 << MANTISSA
"""The least bit of the exponent: added to the bits of a number, it doubles it."""
_OFFSETS = {"down": 0, "nearest": LEADING - 0x3504F4, "up": LEADING - 1}


class _Shortening(Op, register=False):
    """A float for each float, of the same dtype. The gradient goes straight through, but where `x` is not finite."""

    surrogate = "straight through"

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_float:
            raise error("E303", f"what `{self.name}` rounds must hold floats, not {x}")
        return x

    def reference(self, x: Array) -> Array:
        bits = np.atleast_1d(x).astype(np.float32).view(np.int32).reshape(x.shape)
        rounded = np.atleast_1d(self._rounded(bits)).astype(np.int32).view(np.float32).reshape(x.shape)
        return np.where(np.isnan(x), x, rounded)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        finite: Value = build.isfinite(operands[0])
        return (build.where(finite, cotangents[0], 0.0),)

    def _rounded(self, bits: Array) -> Array:
        raise NotImplementedError(f"{self.name} does not say how it rounds bits: define `_rounded`")

    relate = elementwise

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3])
        yield sample([])
        yield sample([0, 3])
        yield sample(typed(DType.BF16, 5))
        near = np.array([1.0, 1.25, 1.375, 1.5, 1.75, 1.875, 2.0, 3.0]).astype(np.float32)
        edges = np.concatenate([np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(9))])
        yield sample(np.concatenate([edges, -edges * np.float32(2**100), edges * np.float32(2**-100)]).astype(float))
        yield sample(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 3.4028234663852886e38]))
        yield sample(typed(DType.I32, 2), error="E303")


class PowerOfTwo(_Shortening):
    """The power of two next to each number, with its sign: the one below, above, or the nearest by its logarithm.

    Below and above are by the absolute value. 0 and infinities stay as they are; so does NaN. What follows the largest
    power of two in float32 is infinite. Scales that are powers of two multiply by a shift: Jain and others, "Trained
    Quantization Thresholds for Accurate and Efficient Fixed-Point Inference of Deep Neural Networks" (2020).
    """

    rounding: Literal["nearest", "down", "up"] = "nearest"

    @property
    def offset(self) -> int:
        """What carries a number beyond the next power of two if it is to become that; the mantissa is cut off then."""
        return _OFFSETS[self.rounding]

    def _rounded(self, bits: Array) -> Array:
        rounded: Array = (bits.astype(np.int64) + self.offset) & -LEADING
        return rounded

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        root = np.sqrt(np.float32(2))
        for rounding in _OFFSETS:
            for case in super().samples():
                yield Sample(case.inputs, {"rounding": rounding}, error=case.error)
        yield sample(np.array([root, np.nextafter(root, np.float32(2)), -root]).astype(float))


class RoundMantissa(_Shortening):
    """Numbers whose mantissa has `bits` bits beside the leading one, of the 23 of float32; their exponents stay.

    Half to even, or "down" to what is nearer to 0. 7 bits are bfloat16's, 10 TensorFloat-32's.
    """

    bits: int
    rounding: Literal["nearest", "down"] = "nearest"

    def infer(self, x: TensorType) -> TensorType:
        if not 0 <= self.bits <= MANTISSA:
            raise error("E307", f"`{self.name}` keeps 0 to {MANTISSA} bits of a mantissa, not {self.bits}")
        return super().infer(x)

    def _rounded(self, bits: Array) -> Array:
        lost = MANTISSA - self.bits
        wide = bits.astype(np.int64)
        if self.rounding == "nearest" and lost:
            wide = wide + (wide >> lost & 1) + (2 ** (lost - 1) - 1)
        cut: Array = wide >> lost << lost
        return cut

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for case in super().samples():
            for attributes in ({"bits": 2}, {"bits": 1, "rounding": "down"}, {"bits": 0}):
                yield Sample(case.inputs, attributes, error=case.error)
        yield sample([7], bits=23)
        yield sample([7], bits=7, rounding="down")
        yield sample([2], bits=24, error="E307")
        yield sample([2], bits=-1, error="E307")
