"""Leaves: what a graph starts from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from architrave.ir.arrays import Array, held, known, np
from architrave.ir.dims import Dim, Size
from architrave.ir.op import Op, Related, Sample, sample
from architrave.ir.ops import checks
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.ir.axes.relations import Relations
    from architrave.ir.axes.rest import Cut
    from architrave.ir.graph import Graph, Value


LEAF = "a leaf"
"""Why what a graph starts from has no samples: it computes nothing."""


@dataclass(frozen=True)
class Initial:
    """How a weight starts: an initializer of `ir/initializers.py` by name, with its arguments."""

    kind: str
    arguments: tuple[float | str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(str, self.arguments))})" if self.arguments else self.kind


class Input(Op):
    """A tensor that the caller gives. The name is for people; equality goes by position."""

    unsampled = LEAF

    label: str
    type: TensorType

    def infer(self) -> TensorType:
        return self.type

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Input) and self.type == other.type

    def __hash__(self) -> int:
        return hash(self.type)


class Param(Op):
    """A trained weight; `path` is its key in a checkpoint."""

    unsampled = LEAF

    path: str
    type: TensorType
    initial: Initial | Graph

    def infer(self) -> TensorType:
        return _weight(self.type)


class State(Op):
    """A buffer that the network updates and does not train; `path` is its key in a checkpoint."""

    unsampled = LEAF

    path: str
    type: TensorType
    initial: Initial | Graph

    def infer(self) -> TensorType:
        return _weight(self.type)


def _weight(type: TensorType) -> TensorType:
    """The type of a weight, which optimizers and checkpoints take for real. Raises E303."""
    if type.dtype.is_complex:
        raise error("E303", f"a weight must not be {type}", hint="take two real ones, and `complex(re, im)`")
    return type


def path_of(weight: Value) -> str:
    """The path of a param or state."""
    match weight.op:
        case Param(path=path) | State(path=path):
            return path
        case op:
            raise TypeError(f"{op.name} is no weight")


class Constant(Op):
    """An array that is part of the network. `data` is its bytes in C order, little-endian.

    A constant of the chosen precision holds float64.
    """

    unsampled = LEAF

    type: TensorType
    data: bytes

    def infer(self) -> TensorType:
        return self.type

    def relate(self, relations: Relations) -> Related:
        axes = relations.new()
        relations.ordered(axes, "holds numbers in this order")
        return (axes,)

    def cut(self, cut: Cut) -> Constant:
        from architrave.ir.storage import constant_array, constant_of

        data = constant_array(self)
        for axis, kept in enumerate(cut.results[0].kept):
            data = data if kept is None else data.take(kept, axis)
        return constant_of(data, self.type.dtype, data.shape)


class Full(Op):
    """A tensor with one number everywhere; with shape `[]` it is a scalar.

    The number may be a symbolic size, which is known when the network runs: what a mean divides by.
    """

    value: float | int | Dim | bool
    shape: tuple[Size, ...]
    dtype: DType = DType.FLOAT

    def infer(self) -> TensorType:
        checks.not_negative("a size", self.shape)
        return TensorType(self.dtype, self.shape)

    def reference(self) -> Array:
        return np.full(tuple(map(known, self.shape)), self.value, held(self.dtype))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Full) and _key(self) == _key(other)

    def __hash__(self) -> int:
        return hash(_key(self))

    def cut(self, cut: Cut) -> Full:
        return Full(self.value, cut.results[0].shape, self.dtype)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(value=2.5, shape=(2, 3))
        yield sample(value=-1, shape=(), dtype=DType.I32)
        yield sample(value=True, shape=(0, 3), dtype=DType.BOOL)
        yield sample(value=0.0, shape=(2, -1), error="E307")


def _key(full: Full) -> tuple[Any, ...]:
    # repr tells 0.0 from -0.0, holds NaN equal to itself, and 1 from 1.0 and True.
    return repr(full.value), full.shape, full.dtype


class Arange(Op):
    """`0, 1, ..., size - 1`."""

    size: Size
    dtype: DType = DType.I64

    def infer(self) -> TensorType:
        checks.not_negative("a size", (self.size,))
        return TensorType(self.dtype, (self.size,))

    def reference(self) -> Array:
        return np.arange(known(self.size), dtype=held(self.dtype))

    def relate(self, relations: Relations) -> Related:
        return relations.opaque(())

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample(size=5)
        yield sample(size=0)
        yield sample(size=3, dtype=DType.FLOAT)
        yield sample(size=-1, error="E307")
