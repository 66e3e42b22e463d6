"""How weights with zeros are held: blocks that are stored in rows, or n values of each m neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from architrave.ir import build
from architrave.ir.dims import Size
from architrave.ir.graph import Graph, Value, apply
from architrave.ir.initial import draw
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.index import Take
from architrave.ir.ops.leaves import Arange, Initial, Param, State
from architrave.ir.ops.logic import Cast
from architrave.ir.ops.lookup import Searchsorted
from architrave.ir.ops.packing import Pack
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.ir.ops.sparse import LinearSparse, PointwiseSparse, UnpackNm, place_bits
from architrave.ir.types import DType, TensorType

Parts: TypeAlias = "Mapping[str, Value]"
"""The weights that stand for one, by what is put behind its path."""


@dataclass(frozen=True)
class Blocks:
    """The `count` blocks `[high, wide]` of a weight whose numbers have the largest sum of sizes; CSR with 1 x 1."""

    count: int
    high: int = 1
    wide: int = 1

    def refusal(self, out: int, inputs: int) -> str | None:
        """Why a weight cannot be held so."""
        if out % self.high or inputs % self.wide:
            return f"blocks of {self.high} x {self.wide} do not divide its weight [{out}, {inputs}]"
        return None if self.count else "nothing of its weight would be left"

    def types(self, weight: TensorType) -> dict[str, TensorType]:
        """The types of the parts of a weight [O, I]."""
        shape = (self.count,) if self.high == self.wide == 1 else (self.count, self.high, self.wide)
        rows = _size(weight.shape[0]) // self.high
        whole = TensorType(DType.I32, (self.count,)), TensorType(DType.I32, (rows + 1,))
        return {"": weight.with_shape(shape), "_columns": whole[0], "_starts": whole[1]}

    def starts(self, weight: Value) -> dict[str, Value]:
        """The parts of a weight [O, I], as expressions over it."""
        rows, across = self._grid(weight.shape)
        cut = apply(Transpose((0, 2, 1, 3)), apply(Reshape((rows, self.high, across, self.wide)), weight))
        blocks = apply(Reshape((rows * across, self.high, self.wide)), cut)
        size = build.sum(build.abs(blocks), axes=(1, 2))
        largest = build.topk(size, k=self.count)[1]
        places: Value = build.sort(apply(Cast(DType.I32), largest))
        values = apply(Take(0), blocks, places)
        bounds = apply(Arange(rows + 1, DType.I32)) * across
        return {
            "": apply(Reshape((self.count,)), values) if self.high == self.wide == 1 else values,
            "_columns": places % across,
            "_starts": apply(Cast(DType.I32), apply(Searchsorted(), places, bounds)),
        }

    def layer(self, op: Linear | Conv, x: Value, parts: Parts) -> Value:
        """What a layer gives without its bias; a convolution of stride 1."""
        kind = LinearSparse() if isinstance(op, Linear) else PointwiseSparse()
        return apply(kind, x, parts[""], parts["_columns"], parts["_starts"])

    def _grid(self, shape: Sequence[Size]) -> tuple[int, int]:
        return _size(shape[0]) // self.high, _size(shape[1]) // self.wide


@dataclass(frozen=True)
class NofM:
    """The n largest of each m neighbours along the inputs, with their places in bytes."""

    n: int
    m: int

    def refusal(self, out: int, inputs: int) -> str | None:
        """Why a weight cannot be held so."""
        return f"{self.m} neighbours do not divide its {inputs} inputs" if inputs % self.m else None

    def types(self, weight: TensorType) -> dict[str, TensorType]:
        """The types of the parts of a weight [O, I]."""
        count = _size(weight.shape[1]) // self.m * self.n
        bytes_ = (count * place_bits(self.m) + 7) // 8
        return {
            "": weight.with_shape((weight.shape[0], count)),
            "_places": TensorType(DType.U8, (weight.shape[0], bytes_)),
        }

    def starts(self, weight: Value) -> dict[str, Value]:
        """The parts of a weight [O, I], as expressions over it."""
        out, count = _size(weight.shape[0]), _size(weight.shape[1]) // self.m * self.n
        groups = apply(Reshape((out, _size(weight.shape[1]) // self.m, self.m)), weight)
        places: Value = build.sort(build.topk(build.abs(groups), k=self.n)[1], axis=-1)
        values = build.gather(groups, places, axis=-1)
        digits = apply(Cast(DType.U8), apply(Reshape((out, count)), places))
        missing = -count % (8 // place_bits(self.m))
        filled: Value = build.pad(digits, ((0, 0), (0, missing))) if missing else digits
        return {"": apply(Reshape((out, count)), values), "_places": apply(Pack(place_bits(self.m)), filled)}

    def layer(self, op: Linear | Conv, x: Value, parts: Parts) -> Value:
        """What a layer gives without its bias; a convolution of stride 1."""
        weight = apply(UnpackNm(self.n, self.m), parts[""], parts["_places"])
        shape = (*weight.shape, *(1,) * (x.rank - 2))
        return apply(op, x, weight) if isinstance(op, Linear) else apply(op, x, apply(Reshape(shape), weight))


Storage: TypeAlias = "Blocks | NofM"


def leaves(weight: Param, storage: Storage, matrix: TensorType) -> dict[str, Value]:
    """New weights that stand for one: numbers under its own path, and states beside it."""
    found: dict[str, Value] = {}
    for suffix, type in storage.types(matrix).items():
        path = weight.path + suffix
        leaf = State(path, type, Initial("zeros")) if suffix else Param(path, type, _initial(weight))
        found[suffix] = apply(leaf).named(path.rpartition(".")[2])
    return found


def _initial(weight: Param) -> Initial:
    """What the numbers of a weight start as, by its own shape."""
    if isinstance(weight.initial, Graph):
        return Initial("zeros")
    kind, numbers = draw(weight.initial, tuple(map(_size, weight.type.shape)))
    return Initial("zeros") if kind in ("orthogonal", "identity") else Initial(kind, numbers)


def _size(size: Size) -> int:
    if not isinstance(size, int):
        raise TypeError(f"a weight of the size {size}")  # those of weights are known
    return size
