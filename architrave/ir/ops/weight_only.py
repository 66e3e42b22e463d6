"""Linear layers whose weight is held in few bits while activations stay floats: what language models are served with.

Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers" (2023), 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from architrave.ir.arrays import np
from architrave.ir.dims import Size, divide
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.packing import Unpack
from architrave.ir.ops.quantize import Dequantize
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, promote

WIDTHS = (2, 4, 8)
"""The bits that a code may have: a byte holds a whole number of them."""


class LinearWeightOnly(Op):
    """`linear(x, (codes - zero) * scale)`: x [..., I] -> [..., O], with a weight [O, I] of integers of `bits`.

    Of 8 bits, codes are i8 [O, I]; of fewer, u8 [O, I * bits / 8], packed along I as `pack` does. Without `signed` they
    count from 0, and are u8 in any case. Scale [O, G] and zero, i32 of the same shape, belong to groups of I / G
    neighbours along I: `[O, 1]` is a scale for each output, `[O, I / 128]` one for each 128 weights.
    """

    bits: int = 4
    signed: bool = True

    def infer(self, x: TensorType, codes: TensorType, scale: TensorType, zero: TensorType | None = None) -> TensorType:
        if self.bits not in WIDTHS:
            raise error("E307", f"`{self.name}` holds weights in 2, 4 or 8 bits, not {self.bits}")
        checks.at_least(f"the operand of `{self.name}`", x, 1)
        checks.ranked(f"the codes of `{self.name}`", codes, 2, "[out, in * bits / 8]")
        checks.ranked(f"the scale of `{self.name}`", scale, 2, "[out, groups]")
        self._dtypes(x, codes, scale, zero)
        wide = codes.shape[1] * (8 // self.bits)
        checks.same(f"the sizes of `{self.name}`", x.shape[-1], f"the last axis of {x}", wide, f"the codes {codes}")
        checks.same(f"the outputs of `{self.name}`", codes.shape[0], f"{codes}", scale.shape[0], f"the scale {scale}")
        if divide(wide, scale.shape[1]) is None:
            raise error("E307", f"{scale.shape[1]} groups do not divide the {wide} weights of an output")
        if zero is not None and zero.shape != scale.shape:
            raise error(
                "E305", f"the zero points of `{self.name}` must have the shape of the scale {scale}, not {zero}"
            )
        return TensorType(promote(x.dtype, scale.dtype), (*x.shape[:-1], codes.shape[0]))

    def expand(self, x: Value, codes: Value, scale: Value, zero: Value | None = None) -> Value:
        codes = codes if self.bits == 8 else apply(Unpack(self.bits, self.signed), codes)
        (out, wide), groups = codes.shape, scale.shape[1]
        affine = (apply(Reshape((out, groups, 1)), v) for v in (scale, zero) if v is not None)
        grouped = apply(Reshape((out, groups, _share(wide, groups))), codes)
        weight = apply(Reshape((out, wide)), apply(Dequantize(), grouped, *affine))
        return apply(Linear(), x, weight)

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return results[0].size * operands[0].shape[-1]

    def _dtypes(self, x: TensorType, codes: TensorType, scale: TensorType, zero: TensorType | None) -> None:
        holder = DType.I8 if self.bits == 8 and self.signed else DType.U8
        for name, type in (("operand", x), ("scale", scale)):
            if not type.dtype.is_float:
                raise error("E303", f"the {name} of `{self.name}` must hold floats, not {type}")
        if codes.dtype is not holder:
            raise error("E303", f"codes of {self.bits} bits are held in {holder} here, not in {codes}")
        if zero is not None and zero.dtype is not DType.I32:
            hint = "cast it: `cast(zero, i32)`"
            raise error("E303", f"the zero points of `{self.name}` must be i32, not {zero}", hint=hint)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        rng = np.random.default_rng(5)
        bytes_ = rng.integers(0, 256, (6, 16)).astype(np.uint8)
        scale, zero = rng.uniform(0.1, 0.4, (6, 2)), rng.integers(0, 16, (6, 2)).astype(np.int32)
        yield sample([2, 3, 32], bytes_, scale)
        yield sample([32], bytes_, scale, zero, signed=False)
        yield sample([1, 64], bytes_, scale, bits=2)
        yield sample([1, 16], bytes_.view(np.int8), scale, bits=8)
        yield sample([17, 16], bytes_, scale, zero, bits=8, signed=False)
        yield sample([1, 64], bytes_, scale, zero, bits=2, signed=False)
        yield sample([1, 32], bytes_[:, :1].repeat(16, 1), rng.uniform(0.1, 0.4, (6, 1)))
        yield sample([1, 32], bytes_[:5], scale[:5])
        yield sample([0, 32], bytes_, scale)
        yield sample([2, 32], bytes_[:0], scale[:0])
        yield sample([2, 0], bytes_[:, :0], scale)
        yield sample([2, 32], typed(DType.U8, 6, 16), [6, 2], bits=3, error="E307")
        yield sample([2, 30], typed(DType.U8, 6, 16), [6, 2], error="E305")
        yield sample([2, 32], typed(DType.U8, 6, 16), [5, 2], error="E305")
        yield sample([2, 32], typed(DType.U8, 6, 16), [6, 3], error="E307")
        yield sample([2, 32], typed(DType.U8, 6, 16), [6, 2], typed(DType.I32, 6, 1), error="E305")
        yield sample([2, 32], typed(DType.I8, 6, 16), [6, 2], error="E303")
        yield sample([2, 16], typed(DType.U8, 6, 16), [6, 2], bits=8, error="E303")
        yield sample([2, 32], typed(DType.U8, 6, 16), [6, 2], [6, 2], error="E303")
        yield sample(typed(DType.I32, 2, 32), typed(DType.U8, 6, 16), [6, 2], error="E303")
        yield sample([2, 32], typed(DType.U8, 6, 16), [6], error="E304")
        yield sample([], typed(DType.U8, 6, 16), [6, 2], error="E304")


def _share(wide: Size, groups: Size) -> Size:
    share = divide(wide, groups)
    assert share is not None  # `infer` has seen to it
    return share
