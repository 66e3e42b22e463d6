"""Affine maps of one tensor along its channels: what the rules merge and move.

There are three forms. A `Scale` multiplies each channel by a number and adds one. A `Dense` map is a convolution over
any number of axes, in groups or not, or a linear layer, which slides over none. A `Transposed` convolution takes in
scales alone. Their numbers are values of the graph that depend on weights alone, so that merging two maps is writing an
expression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from architrave.ir.arrays import known
from architrave.ir.dims import Size
from architrave.ir.graph import Value, apply, make
from architrave.ir.ops.contraction import Einsum, Linear
from architrave.ir.ops.conv import Conv, ConvTranspose, window_defaults
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.shape import Expand, Reshape
from architrave.ir.place import Here, marked
from architrave.ir.source import ArchitraveError

IN_GROUPS = "...gi,goi->...go"
"""A linear layer in groups: of x with its channels parted, and a weight with its outputs parted."""


@dataclass(frozen=True)
class Window:
    """How the kernel of a dense map slides: along each axis its step, the zeros around, the distance of its taps."""

    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1

    @classmethod
    def of(
        cls,
        rank: int,
        stride: Sequence[int],
        padding: Sequence[tuple[Size, Size]],
        dilation: Sequence[int],
        groups: int,
    ) -> Window:
        """A window over `rank` axes, where an empty sequence is its default."""
        steps, zeros, apart = window_defaults(rank, stride, tuple(padding), dilation)
        return cls(tuple(steps), tuple(zeros), tuple(apart), groups)

    def conv(self) -> Conv:
        """The convolution that slides so; what is at its default is left out."""
        stride = self.stride if any(s != 1 for s in self.stride) else ()
        dilation = self.dilation if any(d != 1 for d in self.dilation) else ()
        return Conv(stride, self.padding if self.is_padded else (), dilation, self.groups)

    @property
    def rank(self) -> int:
        return len(self.stride)

    @property
    def is_padded(self) -> bool:
        return any(width != 0 for pair in self.padding for width in pair)


@dataclass(frozen=True)
class Scale:
    """`x * scale + shift` along `axis`, both [C]; None for one and zero.

    A scalar, which may be either, has no axis of its own: then `axis` is None.
    """

    x: Value
    axis: int | None
    scale: Value | None = None
    shift: Value | None = None

    def along(self, axis: int, channels: Size) -> Scale | None:
        """The same map with vectors along `axis`; None where it is along another."""
        if self.axis is not None:
            return self if self.axis == axis else None
        return Scale(self.x, axis, _spread(self.scale, channels), _spread(self.shift, channels))


@dataclass(frozen=True)
class Dense:
    """A convolution of x [N, C, *S] with weight [O, C / groups, *K] and bias [O], where `axis` is 1;
    or, with a window over no axes, a linear layer on the last axis, which `axis` then is: in groups, too.
    """

    x: Value
    axis: int
    weight: Value
    bias: Value | None
    window: Window
    out: tuple[Size, ...]
    """The shape of the result."""
    marks: Here
    """Where it stands: of several merged ones where the largest stood."""

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(known(k) for k in self.weight.shape[2:])

    @property
    def is_pointwise(self) -> bool:
        return all(k == 1 for k in self.kernel)


@dataclass(frozen=True)
class Transposed:
    """A transposed convolution of x [N, C, *S] with weight [C, O / groups, *K] and bias [O]."""

    x: Value
    weight: Value
    bias: Value | None
    op: ConvTranspose
    out: tuple[Size, ...]
    marks: Here


Affine: TypeAlias = Scale | Dense | Transposed


def as_dense(scale: Scale, like: Dense) -> Dense | None:
    """A scale as a dense map with a group for each channel, which slides as `like` does. None where it cannot."""
    channels = scale.x.shape[like.axis]
    along = scale.along(like.axis, channels)
    if along is None or not isinstance(channels, int):
        return None
    ones = (1,) * like.window.rank
    vector = along.scale if along.scale is not None else full(1.0, (channels,), like.weight)
    weight = apply(Reshape((channels, 1, *ones)), vector)
    window = Window(ones, ((0, 0),) * len(ones), ones, channels)
    return Dense(scale.x, like.axis, weight, along.shift, window, scale.x.shape, like.marks)


def larger(a: Dense, b: Dense) -> Dense:
    """The one with more taps, or more numbers; the first of two alike."""
    return max(a, b, key=lambda d: (math.prod(d.kernel), math.prod(map(known, d.weight.shape))))


def fits(dense: Dense) -> bool:
    """Whether its window gives the size that it is to have."""
    window = dense.window
    if not window.rank:
        return True
    try:
        operands = (dense.x.type, dense.weight.type)
        found = window.conv().infer(*operands)
    except ArchitraveError:
        return False
    return found.shape == dense.out


def written(affine: Affine) -> Value:
    """The map as nodes of the graph."""
    if isinstance(affine, Scale):
        return _written_scale(affine)
    operands = (affine.x, affine.weight) if affine.bias is None else (affine.x, affine.weight, affine.bias)
    if isinstance(affine, Transposed):
        return make(affine.op, operands, affine.marks).outputs[0]
    window = affine.window
    if not window.rank and window.groups > 1:
        return _written_in_groups(affine)
    op = window.conv() if window.rank else Linear()
    return make(op, operands, affine.marks).outputs[0]


def full(value: float, shape: tuple[Size, ...], like: Value) -> Value:
    """A tensor of one number, of the dtype of `like`."""
    return apply(Full(value, shape, like.dtype))


def plus(a: Value | None, b: Value | None) -> Value | None:
    """The sum, where None is zero."""
    return b if a is None else a if b is None else a + b


def times(a: Value | None, b: Value | None) -> Value | None:
    """The product, where None is one."""
    return b if a is None else a if b is None else a * b


def channelwise(vector: Value, axis: int, rank: int) -> Value:
    """A vector [C] in the shape in which it broadcasts along `axis` of a tensor."""
    if vector.rank == 0 or axis == rank - 1:
        return vector
    return apply(Reshape((vector.shape[0], *(1,) * (rank - 1 - axis))), vector)


def _written_scale(affine: Scale) -> Value:
    y, axis = affine.x, affine.axis if affine.axis is not None else affine.x.rank - 1
    if affine.scale is not None:
        y = y * channelwise(affine.scale, axis, y.rank)
    return y if affine.shift is None else y + channelwise(affine.shift, axis, y.rank)


def _written_in_groups(affine: Dense) -> Value:
    """A linear layer in groups, for which there is no operator."""
    (*lead, channels), (out, share), groups = affine.x.shape, affine.weight.shape, affine.window.groups
    with marked(span=affine.marks.span, place=affine.marks.place, facts=affine.marks.facts):
        parted = apply(Reshape((*lead, groups, channels // groups)), affine.x)
        weight = apply(Reshape((groups, out // groups, share)), affine.weight)
        y = apply(Reshape((*lead, out)), apply(Einsum(IN_GROUPS), parted, weight))
        return y if affine.bias is None else y + affine.bias


def _spread(number: Value | None, channels: Size) -> Value | None:
    return None if number is None else apply(Expand((channels,)), number)
