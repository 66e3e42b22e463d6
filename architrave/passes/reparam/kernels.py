"""Kernels as values: spreading their taps, putting them into larger ones, joining and dividing their groups."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.dims import Size
from architrave.ir.graph import Value, apply
from architrave.ir.ops.contraction import Einsum
from architrave.ir.ops.join import Pad, Slice
from architrave.ir.ops.leaves import Arange
from architrave.ir.ops.logic import Cast, Equal
from architrave.ir.ops.shape import Reshape

LETTERS = "stuvwxyz"


def spread(weight: Value, dilation: Sequence[int]) -> Value:
    """A kernel [O, I, *K] with `dilation - 1` zeros between its taps: [O, I, *((K - 1) * dilation + 1)]."""
    if all(d == 1 for d in dilation):
        return weight
    out, share, *kernel = weight.shape
    apart = [size for k in kernel for size in (k, 1)]
    widths = [(0, 0), (0, 0), *(pair for d in dilation for pair in ((0, 0), (0, d - 1)))]
    wide = apply(Pad(tuple(widths)), apply(Reshape((out, share, *apart)), weight))
    grown = tuple(k * d for k, d in zip(kernel, dilation, strict=True))
    wide = apply(Reshape((out, share, *grown)), wide)
    stops = (out, share, *((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)))
    return apply(Slice((0,) * len(stops), stops, (1,) * len(stops)), wide)


def embedded(weight: Value, before: Sequence[int], after: Sequence[int]) -> Value:
    """A kernel with so many zeros before and after its taps along each axis."""
    if not any((*before, *after)):
        return weight
    return apply(Pad(((0, 0), (0, 0), *zip(before, after, strict=True))), weight)


def regrouped(weight: Value, groups: int, fewer: int) -> Value:
    """A kernel [O, I / groups, *K] as one of `fewer` groups, which divide `groups`: [O, I / fewer, *K] with zeros."""
    if groups == fewer:
        return weight
    out, share, *kernel = weight.shape
    joined = groups // fewer
    blocks: tuple[Size, ...] = (fewer, joined, out // groups, share, *kernel)
    axes = LETTERS[: len(kernel)]
    eye = identity(joined, weight)
    wide = apply(Einsum(f"gqoi{axes},qr->gqori{axes}"), apply(Reshape(blocks), weight), eye)
    return apply(Reshape((out, share * joined, *kernel)), wide)


def identity(size: int, like: Value) -> Value:
    """The identity matrix, of the dtype of `like`."""
    places = apply(Arange(size))
    return apply(Cast(like.dtype), apply(Equal(), apply(Reshape((size, 1)), places), places))


def over_inputs(weight: Value, vector: Value, groups: int) -> Value:
    """A kernel [O, I / groups, *K] with the part of each input channel multiplied by its element of a vector [I]."""
    out, share, *kernel = weight.shape
    parted = apply(Reshape((groups, out // groups, share, *kernel)), weight)
    factors = apply(Reshape((groups, 1, share, *(1,) * len(kernel))), vector)
    return apply(Reshape((out, share, *kernel)), parted * factors)


def over_outputs(weight: Value, vector: Value) -> Value:
    """A kernel [O, I, *K] with the part of each output channel multiplied by its element of a vector [O]."""
    if vector.rank == 0:
        return weight * vector
    return weight * apply(Reshape((weight.shape[0], *(1,) * (weight.rank - 1))), vector)


def applied(weight: Value, vector: Value, groups: int) -> Value:
    """What a map makes of a vector [I] that is the same everywhere: [O]."""
    out, share, *kernel = weight.shape
    parted = apply(Reshape((groups, out // groups, share, *kernel)), weight)
    axes = LETTERS[: len(kernel)]
    sums = apply(Einsum(f"goi{axes},gi->go"), parted, apply(Reshape((groups, share)), vector))
    return apply(Reshape((out,)), sums)
