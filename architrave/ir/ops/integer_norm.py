"""Layer and root-mean-square normalization of 8-bit integers, in integers of 32 bits.

Both make a unit vector of each row, in steps of `2 ** -15`, which the weight scales. Where the float operator has the
root of a mean, here is the root of the sum: the factor `sqrt(n)` goes into the scale of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from architrave.ir import build
from architrave.ir.arrays import np
from architrave.ir.graph import Value, apply, make
from architrave.ir.op import Op, Sample, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.arithmetic import Maximum
from architrave.ir.ops.bits import Clz, ShiftLeft, ShiftRight
from architrave.ir.ops.integer_functions import divided, exactly, fits, small, total, widened
from architrave.ir.ops.leaves import Full
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

LONGEST = 2**14
"""The most elements of a row: `LONGEST * 255**2 + 2**30` fits into 32 bits."""

UNIT = 15
"""A unit vector is held in steps of `2 ** -UNIT`, so that its elements fit into 16 bits."""

FRACTION = 16
"""A row has so many bits behind the point, after its mean has been taken away."""


def places(count: int) -> int:
    """Sums of squares of so many elements are in steps of `4 ** -places`: as fine as leaves room for `eps`."""
    return max(0, (LONGEST.bit_length() - 1 - (count - 1).bit_length()) // 2)


class RsqrtInteger(Op):
    """`1 / sqrt(x)` of an i32 as `multiplier / 2 ** shift`, two i32 as `requantize` takes them.

    With the even number `2 * e` of bits that `x` can be shifted left below `2 ** 31`, and `root` the integer nearest to
    `sqrt(x * 4 ** e)`, the multiplier is `2 ** 30 / root`, rounded half to even, and the shift `30 - e`. It is right to
    a part in 2 ** 14.5. What is below 1 counts as 1.
    """

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        if x.dtype is not DType.I32:
            raise error("E303", f"`rsqrt_integer` takes an i32, not {x}")
        return x, x

    def expand(self, x: Value) -> tuple[Value, Value]:
        x = apply(Maximum(), x, 1)
        pairs = (widened(apply(Clz(), x)) - 1) // 2
        x = apply(ShiftLeft(), x, pairs * 2)
        # A line, 4 % off at most; each of Newton's steps squares that, and the last is at most 1 off.
        root = apply(ShiftRight(), x, 16) + 15500
        for _ in range(2):
            root = apply(ShiftRight(), root + x // root, 1)
        # The square may exceed 32 bits, but the difference comes out right.
        rest = x - root * root
        root = root + widened(rest > root) - widened(rest <= -root)
        return divided(apply(Full(2**30, (), DType.I32)), root), 30 - pairs

    gradient = without_gradient

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        powers = 2 ** np.arange(31)
        yield sample(np.stack([powers, powers + 1, powers - 1, powers + powers // 2]).astype(np.int32))
        roots = np.array([1, 2, 3, 7, 99, 23170, 32768, 46340]) ** 2
        yield sample(np.stack([roots, roots + 1, roots - 1]).astype(np.int32))
        yield sample(np.array([0, -1, -(2**31), 2**31 - 1, 2**31 - 2, 2**29, 2**29 - 1], np.int32))
        yield sample(typed(DType.I32, 0, 3))
        yield sample(typed(DType.I64, 3), error="E303")
        yield sample([2], error="E303")


class _NormInteger(Op, register=False):
    """Of rows of 8-bit integers x [..., C]."""

    gradient = without_gradient

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        rng: Any = np.random.default_rng(0)
        weight = rng.integers(-(2**15), 2**15, 48).astype(np.int16)
        rows = rng.integers(-128, 128, (3, 48)).astype(np.int8)
        none, some = np.array(0, np.int32), np.array(7, np.int32)
        yield sample(rows, none)
        yield sample(rows, some, weight)
        yield sample(rows.view(np.uint8), some, weight)
        corners = np.stack([np.full(48, -128), np.full(48, 127), np.arange(48) % 2 * 255 - 128, np.arange(48) == 5])
        yield sample(corners.astype(np.int8), none)
        yield sample(corners.astype(np.int8), np.array(2**30, np.int32), weight)
        long = np.stack([np.full(4096, -128), np.arange(4096) % 2 * 255 - 128, np.eye(1, 4096)[0] * 255 - 128])
        yield sample(long.astype(np.int8), none)
        yield sample(np.array([[5], [-7]], np.int8), some)
        yield sample(typed(DType.I8, 0, 3), some)
        yield sample(typed(DType.I8, 2, LONGEST + 1), none, error="E900")
        yield sample(typed(DType.I8, 2, 3), typed(DType.I64), error="E305")
        yield sample(typed(DType.I8, 2, 3), none, typed(DType.I8, 3), error="E305")
        yield sample(typed(DType.I8, 2, 3), none, typed(DType.I16, 2), error="E305")
        yield sample(typed(DType.I8), none, error="E304")
        yield sample(typed(DType.I32, 2, 3), none, error="E303")


class LayerNormInteger(_NormInteger):
    """The rows of x [..., C], less their mean and over the root of the sum of squares; scaled and shifted; an i32.

    Of integers that mean `x * scale`, `layer_norm` is this one times `2 ** -15 * sqrt(C)` times the scale of the
    weight: `eps`, an i32 from 0 to `2 ** 30`, is `C * 4 ** p * eps / scale ** 2`, with the largest p for which
    `C * 4 ** p` is at most `2 ** 14`. The weight is an i16 [C], the bias an i32 [C] in steps of the result, less than
    `2 ** 30`. A zero point would not matter. Raises E900 for more than 16,384 elements.
    """

    def infer(
        self, x: TensorType, eps: TensorType, weight: TensorType | None = None, bias: TensorType | None = None
    ) -> TensorType:
        result = _normalized(self.name, x, eps, weight)
        if bias is not None:
            exactly(f"the bias of `{self.name}`", bias, DType.I32, x.shape[-1])
        return result

    def expand(self, x: Value, eps: Value, weight: Value | None = None, bias: Value | None = None) -> Value:
        count, wide = apply(Full(x.shape[-1], (), DType.I32)), widened(x)
        sums = total(wide, (-1,))
        mean = sums // count
        # What the mean has behind the point: from 0 to `count - 1`, over `count`.
        rest, offset = sums - mean * count, wide - mean
        fine = 4 ** _places(x)
        squares = total(offset * offset, (-1,)) * fine - divided(rest * rest * fine, count)
        centred = offset * 2**FRACTION - divided(rest * 2**FRACTION, count)
        y = _scaled(_unit(centred, squares + eps, _places(x)), weight)
        return y if bias is None else y + bias

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        rows, weight = np.arange(-12, 12).astype(np.int8).reshape(2, 12), np.full(12, -(2**15), np.int16)
        yield sample(rows, np.array(1, np.int32), weight, np.linspace(-(2**30), 2**30, 12).astype(np.int32))
        yield sample(rows, np.array(1, np.int32), weight, typed(DType.I64, 12), error="E305")


class RmsNormInteger(_NormInteger):
    """The rows of x [..., C] over the root of the sum of squares, and scaled; an i32.

    Of integers that mean `(x - zero) * scale`, `rms_norm` is this one times `2 ** -15 * sqrt(C)` times the scale of the
    weight; `eps` and the weight are those of `layer_norm_integer`, and `zero` is an i32. Raises E900 for more than
    16,384 elements.
    """

    def infer(
        self, x: TensorType, eps: TensorType, weight: TensorType | None = None, zero: TensorType | None = None
    ) -> TensorType:
        if zero is not None:
            exactly(f"the zero point of `{self.name}`", zero, DType.I32)
        return _normalized(self.name, x, eps, weight)

    def expand(self, x: Value, eps: Value, weight: Value | None = None, zero: Value | None = None) -> Value:
        steps = widened(x) if zero is None else widened(x) - zero
        squares = total(steps * steps, (-1,)) * 4 ** _places(x)
        return _scaled(_unit(steps * 2**FRACTION, squares + eps, _places(x)), weight)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        full, least = np.full((1, LONGEST), 255, np.uint8), np.full(LONGEST, -(2**15), np.int16)
        yield sample(full, np.array(2**30, np.int32), least, np.array(0, np.int32))
        rows = (np.arange(40) * 37 % 256).astype(np.uint8).reshape(2, 20)
        yield sample(rows, np.array(3, np.int32), np.arange(-10, 10).astype(np.int16), np.array(99, np.int32))
        yield sample(rows, np.array(3, np.int32), typed(DType.I16, 20), typed(DType.I32, 20), error="E305")


def _normalized(name: str, x: TensorType, eps: TensorType, weight: TensorType | None) -> TensorType:
    small(f"what `{name}` reads", x)
    checks.at_least(f"`{name}`", x, 1)
    fits(f"a row of `{name}`", x.shape[-1], LONGEST)
    exactly(f"the eps of `{name}`", eps, DType.I32)
    if weight is not None:
        exactly(f"the weight of `{name}`", weight, DType.I16, x.shape[-1])
    return x.with_dtype(DType.I32)


def _places(x: Value) -> int:
    count = x.shape[-1]
    assert isinstance(count, int)
    return places(count)


def _unit(x: Value, squares: Value, places: int) -> Value:
    """A row with FRACTION bits behind the point, over the root of a sum in steps of `4 ** -places`: an i16."""
    multiplier, shift = make(RsqrtInteger(), (squares,)).outputs
    unit: Value = build.requantize(x, multiplier, shift + (FRACTION - UNIT - places), bits=16)
    return unit


def _scaled(unit: Value, weight: Value | None) -> Value:
    return widened(unit) if weight is None else widened(unit) * widened(weight)
