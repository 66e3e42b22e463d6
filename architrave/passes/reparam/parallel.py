"""Two affine maps of one tensor, whose results are added or stand beside one another, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

from architrave.ir.dims import Size
from architrave.ir.graph import apply
from architrave.ir.ops.join import Concat
from architrave.passes.reparam.affine import (
    Affine,
    Dense,
    Scale,
    Transposed,
    Window,
    as_dense,
    fits,
    full,
    larger,
    plus,
)
from architrave.passes.reparam.kernels import embedded, regrouped, spread


@dataclass(frozen=True)
class _Taps:
    """Where the taps of a kernel lie along one axis: the first, how many, and how far apart."""

    first: int
    count: int
    apart: int

    @property
    def last(self) -> int:
        return self.first + (self.count - 1) * self.apart


def summed(a: Affine, b: Affine) -> Affine | str:
    """`a + b`, both of one tensor; or why they cannot be one."""
    if isinstance(a, Transposed) or isinstance(b, Transposed):
        return "a transposed convolution takes in scales alone"
    if isinstance(a, Scale) and isinstance(b, Scale):
        return _sum_of_scales(a, b)
    pair = _as_dense(a, b)
    if pair is None:
        return "the scale is not along the channels"
    left, right = pair
    if left.axis != right.axis:
        return "they act on different axes"
    if left.out != right.out:
        return "their results have different sizes"
    aligned = _aligned(left, right)
    if isinstance(aligned, str):
        return aligned
    first, second = aligned
    groups = gcd(first.window.groups, second.window.groups)
    weight = regrouped(first.weight, first.window.groups, groups) + regrouped(
        second.weight, second.window.groups, groups
    )
    window = Window(first.window.stride, first.window.padding, first.window.dilation, groups)
    merged = Dense(
        first.x, first.axis, weight, plus(first.bias, second.bias), window, first.out, larger(left, right).marks
    )
    return merged if fits(merged) else "the merged one would give another size"


def beside(a: Dense, b: Dense) -> Dense | str:
    """The channels of `a`, then those of `b`; or why they cannot be one."""
    if a.axis != b.axis or any(m != n for i, (m, n) in enumerate(zip(a.out, b.out, strict=True)) if i != a.axis):
        return "their results have different sizes"
    aligned = _aligned(a, b)
    if isinstance(aligned, str):
        return aligned
    first, second = (
        Dense(d.x, d.axis, regrouped(d.weight, d.window.groups, 1), d.bias, d.window, d.out, d.marks) for d in aligned
    )
    bias = None
    if first.bias is not None or second.bias is not None:
        parts = (d.bias if d.bias is not None else full(0.0, d.weight.shape[:1], d.weight) for d in (first, second))
        bias = apply(Concat(0), *parts)
    window = Window(first.window.stride, first.window.padding, first.window.dilation, 1)
    channels = first.out[first.axis] + second.out[first.axis]
    out = tuple(channels if i == a.axis else size for i, size in enumerate(a.out))
    merged = Dense(a.x, a.axis, apply(Concat(0), first.weight, second.weight), bias, window, out, larger(a, b).marks)
    return merged if fits(merged) else "the merged one would give another size"


def _sum_of_scales(a: Scale, b: Scale) -> Affine | str:
    axis = b.axis if a.axis is None else a.axis
    if axis is not None:
        first, second = a.along(axis, a.x.shape[axis]), b.along(axis, b.x.shape[axis])
        if first is None or second is None:
            return "they scale different axes"
        a, b = first, second
    one = full(1.0, () if axis is None else (a.x.shape[axis],), a.x)
    scale = (one if a.scale is None else a.scale) + (one if b.scale is None else b.scale)
    return Scale(a.x, axis, scale, plus(a.shift, b.shift))


def _as_dense(a: Scale | Dense, b: Scale | Dense) -> tuple[Dense, Dense] | None:
    if isinstance(a, Scale):
        assert isinstance(b, Dense)
        found = as_dense(a, b)
        return None if found is None else (found, b)
    if isinstance(b, Scale):
        found = as_dense(b, a)
        return None if found is None else (a, found)
    return a, b


def _aligned(a: Dense, b: Dense) -> tuple[Dense, Dense] | str:
    """Both with kernels of one size, whose taps lie in the same places."""
    rank = a.window.rank
    if rank != b.window.rank or a.window.stride != b.window.stride:
        return "their steps differ"
    if any(not isinstance(lo, int) for d in (a, b) for lo, _ in d.window.padding):
        return "how far their zeros reach is known in the run alone"
    before, after, apart = (
        zip(*(_common(_taps(a, i), _taps(b, i)) for i in range(rank)), strict=True) if rank else ((),) * 3
    )
    return _on(a, before, after, apart), _on(b, before, after, apart)


def _taps(dense: Dense, axis: int) -> _Taps:
    before = dense.window.padding[axis][0]
    assert isinstance(before, int)
    return _Taps(-before, dense.kernel[axis], dense.window.dilation[axis])


def _common(a: _Taps, b: _Taps) -> tuple[int, int, int]:
    """The first and last tap of both, and how far apart taps must be so that each has its place."""
    distances = [t.apart for t in (a, b) if t.count > 1]
    apart = gcd(*distances, a.first - b.first) or 1
    return min(a.first, b.first), max(a.last, b.last), apart


def _on(dense: Dense, first: Sequence[int], last: Sequence[int], apart: Sequence[int]) -> Dense:
    """The same map with taps from `first` to `last`, some of them zero."""
    taps = [_taps(dense, axis) for axis in range(len(first))]
    steps = [t.apart // d if t.count > 1 else 1 for t, d in zip(taps, apart, strict=True)]
    before = [(t.first - lo) // d for t, lo, d in zip(taps, first, apart, strict=True)]
    after = [(hi - t.last) // d for t, hi, d in zip(taps, last, apart, strict=True)]
    weight = embedded(spread(dense.weight, steps), before, after)
    padding = tuple((-lo, _behind(dense, axis, lo, hi)) for axis, (lo, hi) in enumerate(zip(first, last, strict=True)))
    window = Window(dense.window.stride, padding, tuple(apart), dense.window.groups)
    return Dense(dense.x, dense.axis, weight, dense.bias, window, dense.out, dense.marks)


def _behind(dense: Dense, axis: int, first: int, last: int) -> Size:
    """The zeros behind the end such that the result keeps its size, and the last window ends where it did or later."""
    old_last = _taps(dense, axis).last
    return dense.window.padding[axis][1] + (last - old_last)
