"""Random numbers that depend on a key, a path and a position alone: the same bits on every backend.

The run's key is its seed and its step. `random_bits` encrypts 64 bits of the SHA-256 of its path under that
key, which gives the key of this place; under this it encrypts the numbers 0, 1, 2, ... The cipher is Threefry-2x32
with 20 rounds: Salmon and others, "Parallel Random Numbers: As Easy as 1, 2, 3" (2011).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir.arrays import Array, known, np
from architrave.ir.dims import Size
from architrave.ir.graph import Value, apply
from architrave.ir.op import Op, Related, Sample, sample, typed, without_gradient
from architrave.ir.ops import checks
from architrave.ir.ops.elementwise import Cos, Log, Sqrt
from architrave.ir.ops.join import Slice
from architrave.ir.ops.leaves import LEAF
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations
    from architrave.ir.axes.rest import Cut

KEY = TensorType(DType.U32, (2,))


class RunKey(Op):
    """The run's key, given by whoever runs the network: the low 32 bits of the seed, and of the step."""

    unsampled = LEAF

    def infer(self) -> TensorType:
        return KEY

    gradient = without_gradient


class _Random(Op, register=False):
    """`path` names the place of the draw in the network; two draws with one path give the same numbers."""

    shape: tuple[Size, ...]
    path: str

    def infer(self, key: TensorType) -> TensorType:
        _check(key, self.shape)
        return TensorType(DType.FLOAT, self.shape)

    def relate(self, relations: Relations, key: Axes) -> Related:
        relations.fixed(key)
        return (relations.new(),)

    def cut(self, cut: Cut) -> Op:
        return dataclasses.replace(self, shape=cut.results[0].shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        key = np.array([7, 3], dtype=np.uint32)
        yield sample(key, shape=(2, 3), path="layer.0")
        yield sample(key, shape=(), path="")
        yield sample(key, shape=(5,), path="layer.1")
        yield sample(key, shape=(0, 3), path="layer.0")
        yield sample(typed(DType.I64, 2), shape=(2,), path="", error="E303")
        yield sample(typed(DType.U32, 3), shape=(2,), path="", error="E305")


class RandomBits(_Random):
    """32 random bits in each element, a u32.

    Element `i`, in row-major order, is word `i % 2` of the encrypted number `i // 2`, which is encrypted as its
    low and its high 32 bits.
    """

    @property
    def place(self) -> tuple[int, int]:
        """The first two little-endian 32-bit words of the SHA-256 of the path: what the run's key encrypts."""
        digest = hashlib.sha256(self.path.encode()).digest()
        return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")

    def infer(self, key: TensorType) -> TensorType:
        return super().infer(key).with_dtype(DType.U32)

    def reference(self, key: Array) -> Array:
        from architrave.ir.threefry import threefry

        shape = tuple(map(known, self.shape))
        count = math.prod(shape)
        place = threefry(key[:, None], np.array(self.place, np.uint32)[:, None])
        number = np.arange((count + 1) // 2, dtype=np.uint64)
        words = np.stack([number & 0xFFFFFFFF, number >> 32]).astype(np.uint32)
        return threefry(place, words).T.reshape(-1)[:count].reshape(shape)

    gradient = without_gradient


class RandomUniform(_Random):
    """Numbers in [0, 1): the upper 24 bits of `random_bits`, times 2**-24, which every float32 holds."""

    def expand(self, key: Value) -> Value:
        return apply(Cast(DType.FLOAT), _upper_bits(key, self.shape, self.path)) * 2.0**-24


class RandomNormal(_Random):
    """Numbers with mean 0 and variance 1, by the transform of Box and Muller (1958):
    `sqrt(-2 log(1 - u)) * cos(2 pi v)` of `random_uniform` of shape [2, *shape], which is u and v.
    """

    def expand(self, key: Value) -> Value:
        pair = apply(RandomUniform((2, *self.shape), self.path), key)
        u, v = (apply(Reshape(self.shape), _row(pair, i)) for i in range(2))
        return apply(Sqrt(), -2.0 * apply(Log(), 1.0 - u)) * apply(Cos(), 2.0 * math.pi * v)


class RandomBernoulli(Op):
    """True with probability `p`: where the upper 24 bits of `random_bits` are below `p * 2**24`, rounded up."""

    p: float
    shape: tuple[Size, ...]
    path: str

    def infer(self, key: TensorType) -> TensorType:
        _check(key, self.shape)
        if not 0.0 <= self.p <= 1.0:
            raise error("E307", f"a probability lies between 0 and 1, and {self.p} does not")
        return TensorType(DType.BOOL, self.shape)

    def expand(self, key: Value) -> Value:
        return _upper_bits(key, self.shape, self.path) < math.ceil(self.p * 2**24)

    def relate(self, relations: Relations, key: Axes) -> Related:
        relations.fixed(key)
        return (relations.new(),)

    def cut(self, cut: Cut) -> Op:
        return dataclasses.replace(self, shape=cut.results[0].shape)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        key = np.array([7, 3], dtype=np.uint32)
        for p in (0.0, 0.25, 1.0):
            yield sample(key, p=p, shape=(4, 5), path="drop")
        yield sample(key, p=0.5, shape=(0, 3), path="drop")
        yield sample(key, p=1.5, shape=(2,), path="drop", error="E307")
        yield sample(key, p=math.nan, shape=(2,), path="drop", error="E307")
        yield sample([2], p=0.5, shape=(2,), path="drop", error="E303")


def _upper_bits(key: Value, shape: tuple[Size, ...], path: str) -> Value:
    return apply(RandomBits(shape, path), key) // 256


def _row(x: Value, i: int) -> Value:
    return apply(Slice((i, *(0 for _ in x.shape[1:])), (i + 1, *x.shape[1:]), (1,) * x.rank), x)


def _check(key: TensorType, shape: tuple[Size, ...]) -> None:
    checks.not_negative("a size", shape)
    if key.dtype is not DType.U32:
        raise error("E303", f"a key is {KEY}, not {key}", hint="`run_key` gives the key of the run")
    if key.shape != (2,):
        raise error("E305", f"a key is {KEY}, not {key}")
