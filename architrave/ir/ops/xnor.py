"""Contractions of signs, -1 and 1, each of which is one bit: a product is whether two bits are equal.

Rastegari, Ordonez, Redmon and Farhadi, "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks"
(2016). A bit that is set is 1, and one that is not is -1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from architrave.ir.arrays import np
from architrave.ir.dims import Size, divide, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Sample, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.conv import Conv, kept_groups
from architrave.ir.ops.integer import ConvInteger, LinearInteger
from architrave.ir.ops.join import Pad, Slice
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.packing import Pack, Unpack
from architrave.ir.ops.shape import Transpose
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.ir.axes.rest import Cut


class LinearBinary(Op):
    """`linear` of signs: x, truth values [..., I] of which true is 1 and false -1, and a weight [O, I] -> i32 [..., O].

    The weight is bits in bytes, u8 [O, ceil(I / 8)], as `pack_signs` makes them; those beyond I count for nothing.
    """

    gradient = without_gradient

    def infer(self, x: TensorType, weight: TensorType) -> TensorType:
        checks.at_least(f"the operand of `{self.name}`", x, 1)
        checks.ranked(f"the weight of `{self.name}`", weight, 2, "[out, in / 8]")
        _bits(self.name, x, weight, x.shape[-1])
        return TensorType(DType.I32, (*x.shape[:-1], weight.shape[0]))

    def expand(self, x: Value, weight: Value) -> Value:
        return apply(LinearInteger(), _signs(x), _unpacked(weight, x.shape[-1]))

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return results[0].size * operands[0].shape[-1]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(_truth(2, 3, 16), _bytes(4, 2))
        yield sample(_truth(1, 150), _bytes(5, 19))
        yield sample(_truth(3, 7), _bytes(2, 1))
        yield sample(_truth(3, 1), _bytes(9, 1))
        yield sample(_truth(64), _bytes(3, 8))
        yield sample(np.ones((2, 72), bool), np.array([[255] * 9, [0] * 9], np.uint8))
        yield sample(typed(DType.BOOL, 0, 8), typed(DType.U8, 2, 1))
        yield sample(typed(DType.BOOL, 2, 8), typed(DType.U8, 0, 1))
        yield sample(typed(DType.BOOL, 2, 0), typed(DType.U8, 3, 0))
        yield sample(_truth(2, 17), _bytes(4, 2), error="E305")
        yield sample(_truth(2, 8), _bytes(4, 2), error="E305")
        yield sample([2, 8], _bytes(4, 1), error="E303")
        yield sample(_truth(2, 8), typed(DType.I8, 4, 1), error="E303")
        yield sample(_truth(2, 8), _bytes(4), error="E304")
        yield sample(typed(DType.BOOL), _bytes(4, 1), error="E304")


class ConvBinary(Op):
    """`conv` of signs: truth values [N, C, *S], of which true is 1 and false -1, and a weight -> i32 [N, O, *T].

    The weight is bits in bytes, u8 [O, *K, ceil(C / groups / 8)]. Outside x there is neither sign: nothing is added.
    """

    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    dilation: tuple[int, ...] = ()
    groups: Size = 1

    gradient = without_gradient

    def infer(self, x: TensorType, weight: TensorType) -> TensorType:
        checks.at_least(f"the operand of `{self.name}`", x, 2)
        checks.ranked(f"the weight of `{self.name}`", weight, x.rank, "[out, *kernel, in / groups / 8]")
        channels = divide(x.shape[1], self.groups)
        if channels is None:
            raise error("E307", f"{self.groups} groups do not divide the {x.shape[1]} channels of {x}")
        _bits(self.name, x, weight, channels)
        kernel = weight.with_shape((weight.shape[0], channels, *weight.shape[1:-1]))
        return self._like(Conv).infer(x.with_dtype(DType.I32), kernel.with_dtype(DType.I32))

    def expand(self, x: Value, weight: Value) -> Value:
        channels = divide(x.shape[1], self.groups)
        assert channels is not None  # `infer` has seen to it
        signs = _unpacked(weight, channels)
        kernel = apply(Transpose((0, signs.rank - 1, *range(1, signs.rank - 1))), signs)
        return apply(self._like(ConvInteger), _signs(x), kernel)

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        x, weight = operands
        channels = divide(x.shape[1], self.groups)
        return results[0].size * product(weight.shape[1:-1]) * (1 if channels is None else channels)

    def _like(self, kind: type[Conv] | type[ConvInteger]) -> Conv | ConvInteger:
        return kind(self.stride, self.padding, self.dilation, self.groups)

    def cut(self, cut: Cut) -> ConvBinary:
        return dataclasses.replace(self, groups=kept_groups(self.groups, cut))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(_truth(2, 3, 7), _bytes(4, 3, 1))
        yield sample(_truth(2, 3, 7, 6), _bytes(4, 3, 2, 1), stride=(2, 1), padding=((1, 1), (0, 1)))
        yield sample(_truth(1, 4, 9, 8), _bytes(6, 3, 3, 1), padding=((2, 2), (3, 1)), dilation=(2, 3), groups=2)
        yield sample(_truth(2, 40, 5, 5), _bytes(8, 3, 3, 5), padding=((1, 1), (1, 1)))
        yield sample(_truth(2, 4, 5, 5), _bytes(8, 2, 4, 1), stride=(3, 2), padding=((0, 1), (2, 1)), groups=4)
        yield sample(_truth(1, 2, 4, 5, 3), _bytes(3, 2, 3, 1, 1), stride=(1, 2, 1))
        yield sample(_truth(1, 1, 1, 1), _bytes(1, 3, 3, 1), padding=((1, 1), (1, 1)))
        yield sample(_truth(2, 9), _bytes(4, 2))
        yield sample(typed(DType.BOOL, 0, 3, 5), typed(DType.U8, 4, 3, 1), padding=((1, 1),))
        yield sample(_truth(1, 3, 5), _bytes(4, 3, 2), error="E305")
        yield sample(_truth(1, 3, 5), _bytes(4, 3, 3, 1), error="E304")
        yield sample(_truth(1, 3, 5), _bytes(4, 3, 1), groups=2, error="E307")
        yield sample(_truth(1, 3, 2), _bytes(4, 3, 1), error="E307")
        yield sample([1, 3, 5], _bytes(4, 3, 1), error="E303")
        yield sample(_truth(3), _bytes(4), error="E304")


def pack_signs(positive: Value) -> Value:
    """Truth values [..., C], true for 1 and false for -1, as bits in bytes, u8 [..., ceil(C / 8)]."""
    count = positive.shape[-1]
    missing = -(-count // 8) * 8 - count
    widths = (*((0, 0) for _ in positive.shape[:-1]), (0, missing))
    bits = apply(Cast(DType.U8), positive)
    return apply(Pack(1), bits if missing == 0 else apply(Pad(widths), bits))


def _unpacked(weight: Value, count: Size) -> Value:
    """The first `count` signs along the last axis of bytes, as i8."""
    bits = apply(Unpack(1, signed=False), weight)
    if bits.shape[-1] != count:
        bits = apply(Slice((0,) * bits.rank, (*bits.shape[:-1], count), (1,) * bits.rank), bits)
    return _signs(bits)


def _signs(bits: Value) -> Value:
    """1 where there is a bit, else -1, as i8."""
    return apply(Cast(DType.I8), bits) * 2 - 1


def _bits(name: str, x: TensorType, weight: TensorType, count: Size) -> None:
    """Raises E303 where operands do not hold bits, E305 where the weight does not have as many as it multiplies."""
    checks.boolean(f"the operand of `{name}`", x)
    if weight.dtype is not DType.U8:
        raise error("E303", f"the weight of `{name}` is bits in bytes, u8, not {weight}")
    wanted = (count + 7) // 8
    checks.same(f"the bytes of `{name}`", wanted, f"{count} bits", weight.shape[-1], f"the weight {weight}")


def _truth(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 2, shape).astype(bool)


def _bytes(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 256, shape).astype(np.uint8)
