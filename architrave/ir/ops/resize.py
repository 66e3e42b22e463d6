"""Resizing by interpolation, with half-pixel centres."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase
from typing import TYPE_CHECKING, Literal

from architrave.ir import build
from architrave.ir.arrays import Array, known, np
from architrave.ir.dims import Size
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample, typed
from architrave.ir.ops import checks
from architrave.ir.ops.contraction import Einsum
from architrave.ir.ops.conv import moved_over
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.logic import Cast
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType

if TYPE_CHECKING:
    from architrave.ir.axes.axis import Axes
    from architrave.ir.axes.relations import Relations

CUBIC = -0.75
"""The parameter `a` of the cubic kernel, as in PyTorch and OpenCV."""


class Resize(Op):
    """The last `len(size)` axes interpolated to `size`, one axis after the other.

    The centre of cell `i` of an axis of `m` cells lies at `s = (i + 1/2) * n / m - 1/2` of the `n` cells before.
    "nearest" takes cell `floor((i + 1/2) * n / m)`; "linear" interpolates between the cells on both sides of
    `s`, "cubic" among four by Keys' kernel with a = -3/4, where cells beyond the edge are those at the edge.
    "bilinear" and "bicubic" are other names of the last two. Nothing is smoothed before an axis shrinks.
    """

    size: tuple[Size, ...]
    mode: Literal["nearest", "linear", "cubic", "bilinear", "bicubic"] = "nearest"

    def infer(self, x: TensorType) -> TensorType:
        checks.numeric("`resize`", x)
        checks.real("`resize`", x)
        checks.at_least(f"`resize` of {len(self.size)} axes", x, len(self.size))
        checks.positive("a size to resize to", self.size)
        lead = x.rank - len(self.size)
        if 0 in x.shape[lead:]:
            raise error("E310", f"`resize` has nothing to interpolate: {x} is empty along an axis to be resized")
        dtype = x.dtype if self.mode == "nearest" else checks.floating(x.dtype)
        return TensorType(dtype, (*x.shape[:lead], *self.size))

    def reference(self, x: Array) -> Array:
        lead = x.ndim - len(self.size)
        for axis, size in enumerate(map(known, self.size), lead):
            if self.mode == "nearest":
                x = np.take(x, (2 * np.arange(size) + 1) * x.shape[axis] // (2 * size), axis)
                continue
            weights = interpolation(x.shape[axis], size, cubic="cubic" in self.mode)
            x = np.moveaxis(np.tensordot(weights, x, (1, axis)), 0, axis)
        return x

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x,), (g,) = operands, cotangents
        lead = x.rank - len(self.size)
        for axis in reversed(range(lead, x.rank)):
            shares = _shares(x.shape[axis], g.shape[axis], self.mode, g.dtype)
            letters = ascii_lowercase[: x.rank]
            new = letters.replace(letters[axis], "z")
            g = apply(Einsum(f"{letters},{letters[axis]}z->{new}"), g, shares)
        return (g,)

    def relate(self, relations: Relations, x: Axes) -> Related:
        return (moved_over(relations, x, len(self.size)),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 4], size=(8,))
        yield sample([2, 3, 4], size=(3,))
        yield sample([1, 2, 5, 4], size=(2, 7))
        yield sample([1, 2, 5, 4], size=(10, 8), mode="linear")
        yield sample([1, 2, 5, 7], size=(3, 2), mode="bilinear")
        yield sample([1, 2, 5, 4], size=(3, 9), mode="cubic")
        yield sample([1, 2, 1, 4], size=(3, 4), mode="bicubic")
        yield sample([1, 2, 3, 2, 4], size=(2, 4, 5), mode="linear")
        yield sample(typed(DType.I64, 5), size=(8,))
        yield sample([0, 3], size=(6,))
        yield sample([2, 3], size=())
        yield sample([2, 0], size=(6,), error="E310")
        yield sample([2, 3], size=(0,), error="E307")
        yield sample([3], size=(2, 2), error="E304")


def interpolation(n: int, m: int, cubic: bool) -> Array:
    """The weight of each of `n` cells in each of `m` cells: [m, n]."""
    position = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0 if not cubic else None, n - 1 if not cubic else None)
    first = np.floor(position).astype(int)
    weights = np.zeros((m, n))
    for offset in range(-1, 3) if cubic else range(2):
        distance = np.abs(position - (first + offset))
        share = _keys(distance) if cubic else 1.0 - distance
        np.add.at(weights, (np.arange(m), np.clip(first + offset, 0, n - 1)), share)
    return weights


def _keys(t: Array, a: float = CUBIC) -> Array:
    """Keys, "Cubic Convolution Interpolation for Digital Image Processing" (1981), at distances below 2."""
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, far)


def _shares(n: Size, m: Size, mode: str, dtype: DType) -> Value:
    """The weight of each of `n` cells in each of `m` cells, as the reference has it: [m, n]."""
    cells = apply(Arange(n))
    new = build.reshape(apply(Arange(m)), (m, 1))
    if mode == "nearest":
        return _cast(build.equal((new * 2 + 1) * n // (2 * m), cells), dtype)
    cubic = "cubic" in mode
    position = (build.cast(new, dtype) + 0.5) * n / m - 0.5
    position = position if cubic else build.minimum(build.maximum(position, 0.0), n - 1)
    first = build.floor(position)
    total = build.full(value=0.0, shape=[], dtype=dtype)
    for offset in range(-1, 3) if cubic else range(2):
        distance = build.abs(position - (first + offset))
        share = keys_of(distance) if cubic else 1.0 - distance
        place = build.minimum(build.maximum(build.cast(first, DType.I64) + offset, 0), n - 1)
        total = total + build.where(build.equal(place, cells), share, 0.0)
    return _cast(total, dtype)


def keys_of(t: Value, a: float = CUBIC) -> Value:
    """The weight of a cell at each distance `t`, below 2, by the kernel of Keys (1981)."""
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    chosen: Value = build.where(t <= 1, near, far)
    return chosen


def _cast(x: Value, dtype: DType) -> Value:
    return x if x.dtype is dtype else apply(Cast(dtype), x)
