"""Integers of few bits in bytes, the first one in the lowest bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir.arrays import Array, np
from architrave.ir.dims import Size, divide
from architrave.ir.op import Op, Related, Sample, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations

WIDTHS = (1, 2, 4)
"""The bits of which a byte holds more than one integer, and a whole number of them."""


class _Packing(Op, register=False):
    """Along the last axis."""

    bits: int = 4

    def _check(self, x: TensorType, *held: DType) -> Size:
        """The size of the last axis. Raises E303, E304, E307."""
        if self.bits not in WIDTHS:
            raise error("E307", f"`{self.name}` has integers of 1, 2 or 4 bits, not of {self.bits}")
        checks.at_least(f"`{self.name}`", x, 1)
        if x.dtype not in held:
            raise error("E303", f"`{self.name}` reads {' or '.join(map(str, held))}, not {x}")
        return x.shape[-1]

    gradient = without_gradient

    def relate(self, relations: Relations, x: Axes) -> Related:
        last = relations.new()[-1]
        relations.fixed((x[-1], last))
        return ((*x[:-1], last),)


class Pack(_Packing):
    """Integers of `bits`, i8 or u8 [..., n], as bytes u8 [..., n * bits / 8]: the first one in the lowest bits.

    Higher bits of an integer are left out, so that a negative one is there in two's complement. `bits` is 1, 2 or 4.
    """

    def infer(self, x: TensorType) -> TensorType:
        count = self._check(x, DType.I8, DType.U8)
        size = divide(count, 8 // self.bits)
        if size is None:
            what = f"`{self.name}`: {count} integers of {self.bits} bits do not fill bytes"
            raise error("E307", what, hint=f"pad the last axis to a multiple of {8 // self.bits}")
        return TensorType(DType.U8, (*x.shape[:-1], size))

    def reference(self, x: Array) -> Array:
        per_byte = 8 // self.bits
        digits = (x.view(np.uint8) % 2**self.bits).reshape(*x.shape[:-1], x.shape[-1] // per_byte, per_byte)
        packed: Array = (digits * 2 ** np.arange(0, 8, self.bits)).sum(-1)
        return packed.astype(np.uint8)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for bits in WIDTHS:
            yield sample(np.arange(-128, 128).astype(np.int8).reshape(4, 64), bits=bits)
            yield sample(np.arange(48).astype(np.uint8).reshape(3, 2, 8), bits=bits)
        yield sample(np.array([1, -2, 7, -8], np.int8))
        yield sample(typed(DType.U8, 2, 0))
        yield sample(typed(DType.U8, 0, 2))
        yield sample(typed(DType.U8, 3), error="E307")
        yield sample(typed(DType.U8, 8), bits=3, error="E307")
        yield sample(typed(DType.U8), error="E304")
        yield sample(typed(DType.I32, 8), error="E303")


class Unpack(_Packing):
    """The integers of `bits` that `pack` put into bytes, u8 [..., n] -> [..., n * 8 / bits]; i8, or u8 unless `signed`.

    Signed integers are in two's complement: those of one bit are 0 and -1.
    """

    signed: bool = True

    def infer(self, x: TensorType) -> TensorType:
        count = self._check(x, DType.U8)
        return TensorType(DType.I8 if self.signed else DType.U8, (*x.shape[:-1], count * (8 // self.bits)))

    def reference(self, x: Array) -> Array:
        digits = x[..., None] >> np.arange(0, 8, self.bits).astype(np.uint8) & np.uint8(2**self.bits - 1)
        values: Array = digits.reshape(*x.shape[:-1], x.shape[-1] * (8 // self.bits))
        if not self.signed:
            return values
        half = 2 ** (self.bits - 1)
        extended: Array = (values.astype(np.int16) ^ half) - half
        return extended.astype(np.int8)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for bits in WIDTHS:
            for signed in (True, False):
                yield sample(np.arange(256).astype(np.uint8).reshape(4, 64), bits=bits, signed=signed)
        yield sample(typed(DType.U8, 2, 0))
        yield sample(typed(DType.U8, 0, 2))
        yield sample(typed(DType.U8, 8), bits=8, error="E307")
        yield sample(typed(DType.U8), error="E304")
        yield sample(typed(DType.I8, 8), error="E303")
