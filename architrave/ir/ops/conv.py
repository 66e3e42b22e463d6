"""Convolutions and transposed convolutions over any number of axes.

As in all of deep learning they are cross-correlations: the kernel is not flipped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import reduce
from string import ascii_lowercase
from typing import TYPE_CHECKING

from architrave.ir.arrays import Array, known, np
from architrave.ir.axes.axis import WINDOW, Axes, Axis, multiply
from architrave.ir.dims import Size, divide, product
from architrave.ir.graph import Value, apply
from architrave.ir.op import Gradients, Op, Related, Sample, Values, sample
from architrave.ir.ops import checks
from architrave.ir.ops.join import Slice
from architrave.ir.ops.reduce import Sum
from architrave.ir.ops.shape import Reshape, Transpose
from architrave.ir.source import error
from architrave.ir.types import DType, TensorType, promote

if TYPE_CHECKING:
    from architrave.ir.axes.relations import Relations
    from architrave.ir.axes.rest import Cut

Pairs = tuple[tuple[Size, Size], ...]


class Conv(Op):
    """x [N, C, *S], weight [O, C / groups, *K], bias [O] -> [N, O, *T] with, along each axis,
    `T = (S + before + after - dilation * (K - 1) - 1) // stride + 1`.

    `y[n, o, t] = bias[o] + sum over c, k of x[n, c, t * stride + k * dilation - before] * weight[o, c, k]`,
    where x is 0 outside and group g of the outputs sees group g of the channels. An attribute that is
    empty has its default on every axis: stride 1, padding (0, 0), dilation 1.
    """

    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    dilation: tuple[int, ...] = ()
    groups: Size = 1

    def infer(self, x: TensorType, weight: TensorType, bias: TensorType | None = None) -> TensorType:
        dtype, rank = _operands("conv", x, weight, bias)
        stride, padding, dilation = window_defaults(rank, self.stride, self.padding, self.dilation)
        out = weight.shape[0]
        per_group = _share("the input channels", x.shape[1], self.groups)
        _share("the output channels", out, self.groups)
        checks.same(
            "the channels of a convolution",
            per_group,
            f"{x} in {self.groups} groups" if self.groups != 1 else f"{x}",
            weight.shape[1],
            f"the weight {weight}",
            hint="a weight is [out, in / groups, *kernel]",
        )
        if bias is not None:
            checks.same("the channels of a convolution", bias.shape[0], f"the bias {bias}", out, f"the weight {weight}")
        spatial = windows_that_fit(x, weight.shape[2:], stride, padding, dilation)
        return TensorType(dtype, (x.shape[0], out, *spatial))

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        stride, padding, dilation = window_defaults(x.ndim - 2, self.stride, self.padding, self.dilation)
        widths = [(0, 0), (0, 0), *((known(before), known(after)) for before, after in padding)]
        y = _correlate(np.pad(x, widths), weight, stride, dilation, known(self.groups))
        return y if bias is None else y + _channelwise(bias, x.ndim)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        x, weight = operands[:2]
        (g,) = cotangents
        stride, padding, dilation = window_defaults(x.rank - 2, self.stride, self.padding, self.dilation)
        # How far the last window ends from the end of x, or else as far as it can: the rest is cut off.
        extra: list[int] = []
        sizes = zip(x.shape[2:], g.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
        for size, count, k, s, (before, after), d in sizes:
            missing = size - ((count - 1) * s - before - after + d * (k - 1) + 1)
            extra.append(missing if isinstance(missing, int) else s - 1)
        transposed = ConvTranspose(tuple(stride), padding, tuple(extra), tuple(dilation), self.groups)
        by_x = _cut(apply(transposed, g, weight), x.shape)
        by_weight = _kernel_gradient(x, g, weight, self)
        return (by_x, by_weight, _over_channels(g))[: len(operands)]

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return results[0].size * product(operands[1].shape[1:])

    def relate(self, relations: Relations, x: Axes, weight: Axes, bias: Axes | None = None) -> Related:
        groups = Axis(self.groups)
        relations.same(grouped(relations, x[1], groups), weight[1])
        grouped(relations, weight[0], groups)
        relations.summed(weight[1], 0, 1)
        if bias is not None:
            relations.same(weight[0], bias[0])
        relations.fixed(weight[2:], WINDOW)
        return ((x[0], weight[0], *moved_over(relations, x, len(x) - 2)[2:]),)

    def cut(self, cut: Cut) -> Conv:
        return dataclasses.replace(self, groups=kept_groups(self.groups, cut))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 7], [4, 3, 3], [4])
        yield sample([2, 3, 7, 6], [4, 3, 3, 2], stride=(2, 1), padding=((1, 1), (0, 1)))
        yield sample([1, 4, 9, 8], [6, 2, 3, 3], [6], padding=((2, 2), (3, 1)), dilation=(2, 3), groups=2)
        yield sample([2, 4, 5, 5], [8, 1, 2, 4], stride=(3, 2), padding=((0, 1), (2, 1)), groups=4)
        yield sample([1, 2, 4, 5, 3], [3, 2, 2, 3, 1], [3], stride=(1, 2, 1), padding=((1, 0), (1, 1), (0, 0)))
        yield sample([1, 1, 1, 1], [1, 1, 1, 1])
        yield sample([0, 3, 5, 5], [4, 3, 3, 3], [4])
        yield sample([2, 3], [4, 3])
        yield sample([1, 2, 5], [2, 3, 3], error="E305")
        yield sample([1, 3, 5], [4, 3, 3], [3], error="E305")
        yield sample([1, 3, 5], [4, 3, 3, 3], error="E304")
        yield sample([1, 3, 5], [4, 3, 3], groups=2, error="E307")
        yield sample([1, 3, 2], [4, 3, 3], error="E307")
        yield sample([1, 3, 5], [4, 3, 3], stride=(0,), error="E307")
        yield sample([1, 3, 5], [4, 3, 3], stride=(1, 1), error="E307")
        yield sample([1, 3, 5], [4, 3, 3], padding=((-1, 0),), error="E307")


class ConvTranspose(Op):
    """The transpose (the gradient with respect to x) of `conv`, as PyTorch defines it:
    x [N, C, *S], weight [C, O / groups, *K], bias [O] -> [N, O, *T] with, along each axis,
    `T = (S - 1) * stride - before - after + dilation * (K - 1) + output_padding + 1`.

    Each element of x adds its multiple of the kernel at `s * stride`; `padding` is cut off at both ends,
    and `output_padding`, less than the stride or the dilation, is added at the far end.
    """

    stride: tuple[int, ...] = ()
    padding: tuple[tuple[Size, Size], ...] = ()
    output_padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: Size = 1

    def infer(self, x: TensorType, weight: TensorType, bias: TensorType | None = None) -> TensorType:
        dtype, rank = _operands("conv_transpose", x, weight, bias)
        _share("the input channels", x.shape[1], self.groups)
        checks.same(
            "the channels of a transposed convolution",
            x.shape[1],
            f"{x}",
            weight.shape[0],
            f"the weight {weight}",
            hint="its weight is [in, out / groups, *kernel]",
        )
        out = weight.shape[1] * self.groups
        if bias is not None:
            checks.same(
                "the channels of a transposed convolution", bias.shape[0], f"the bias {bias}", out, "the weight"
            )
        return TensorType(dtype, (x.shape[0], out, *self._spatial(x, weight.shape[2:], rank)))

    def reference(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        rank, groups = x.ndim - 2, known(self.groups)
        stride, padding, dilation = window_defaults(rank, self.stride, self.padding, self.dilation)
        extra = self.output_padding or (0,) * rank
        # Put the elements of x `stride` apart, and correlate with the kernel turned around.
        apart = np.zeros((*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], stride, strict=True))))
        apart[_every(2, stride)] = x
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        apart = np.pad(apart, ((0, 0), (0, 0), *((r, r + e) for r, e in zip(reach, extra, strict=True))))
        turned = np.flip(weight, tuple(range(2, weight.ndim)))
        turned = turned.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
        turned = turned.reshape(-1, turned.shape[2], *weight.shape[2:])
        y = _correlate(apart, turned, (1,) * rank, dilation, groups)
        kept = (slice(known(lo), n - known(hi)) for n, (lo, hi) in zip(y.shape[2:], padding, strict=True))
        y = y[(slice(None), slice(None), *kept)]
        return y if bias is None else y + _channelwise(bias, x.ndim)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        x, weight = operands[:2]
        (g,) = cotangents
        by_x = _cut(apply(Conv(self.stride, self.padding, self.dilation, self.groups), g, weight), x.shape)
        by_weight = _kernel_gradient(g, x, weight, self)
        return (by_x, by_weight, _over_channels(g))[: len(operands)]

    def multiply_adds(self, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Size:
        return operands[0].size * product(operands[1].shape[1:])

    def _spatial(self, x: TensorType, kernel: tuple[Size, ...], rank: int) -> list[Size]:
        stride, padding, dilation = window_defaults(rank, self.stride, self.padding, self.dilation)
        extra = self.output_padding or (0,) * rank
        checks.per_axis("the output padding", extra, rank)
        checks.positive("each size of a kernel", kernel)
        result: list[Size] = []
        for n, k, s, (lo, hi), e, d in zip(x.shape[2:], kernel, stride, padding, extra, dilation, strict=True):
            if not 0 <= e < max(s, d):
                raise error("E307", f"an output padding must be less than the stride or the dilation, not {e}")
            size = (n - 1) * s - lo - hi + d * (k - 1) + e + 1
            if n == 0 or (isinstance(size, int) and size < 1):
                raise error("E307", f"nothing is left of {x} after a padding of ({lo}, {hi})")
            result.append(size)
        return result

    def relate(self, relations: Relations, x: Axes, weight: Axes, bias: Axes | None = None) -> Related:
        groups = Axis(self.groups)
        grouped(relations, x[1], groups)
        relations.same(x[1], weight[0])
        relations.summed(weight[0], 0, 1)
        out = multiply((groups, weight[1]))
        if bias is not None:
            relations.same(out, bias[0])
        relations.fixed(weight[2:], WINDOW)
        return ((x[0], out, *moved_over(relations, x, len(x) - 2)[2:]),)

    def cut(self, cut: Cut) -> ConvTranspose:
        return dataclasses.replace(self, groups=kept_groups(self.groups, cut))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 3, 5], [3, 4, 3], [4])
        yield sample([2, 3, 4, 5], [3, 2, 2, 4], stride=(2, 3), padding=((1, 0), (2, 1)))
        yield sample([1, 4, 3, 4], [4, 3, 3, 2], [6], stride=(2, 2), padding=((1, 1), (0, 0)), groups=2)
        yield sample([1, 2, 4, 4], [2, 3, 3, 3], [3], stride=(2, 3), output_padding=(1, 2), padding=((1, 1), (1, 0)))
        yield sample([1, 2, 4], [2, 3, 3], dilation=(3,), output_padding=(2,))
        yield sample([1, 2, 2, 3, 2], [2, 1, 2, 1, 3], stride=(2, 1, 1))
        yield sample([0, 2, 4], [2, 3, 3], [3])
        yield sample([1, 2, 4], [3, 2, 3], error="E305")
        yield sample([1, 2, 4], [2, 3, 3], [2], error="E305")
        yield sample([1, 2, 4], [2, 3, 3], output_padding=(1,), error="E307")
        yield sample([1, 2, 1], [2, 3, 2], padding=((1, 1),), error="E307")
        yield sample([1, 3, 4], [3, 3, 3], groups=2, error="E307")


def grouped(relations: Relations, channels: Axis, groups: Axis) -> Axis:
    """Channels as `groups` times those of one group, which are alike: the axis of these."""
    outer, inner = relations.reshaped((channels,), (groups.size, divide(channels.size, groups.size) or 1))
    relations.same(groups, outer)
    return inner


def kept_groups(groups: Size, cut: Cut) -> Size:
    """How many groups of the channels of the first operand [N, C, *S] are left."""
    return cut.operands[0].groups(1, groups) if isinstance(groups, int) else groups


def moved_over(relations: Relations, x: Axes, rank: int) -> Axes:
    """The axes of a result over whose last `rank` axes a window has moved."""
    spatial = relations.new()[-rank:] if rank else ()
    relations.fixed((*x[len(x) - rank :], *spatial), WINDOW)
    return (*x[: len(x) - rank], *spatial)


def window_defaults(
    rank: int, stride: Sequence[int], padding: Pairs, dilation: Sequence[int]
) -> tuple[Sequence[int], Pairs, Sequence[int]]:
    """Strides, paddings and dilations for `rank` axes, where an empty one is its default. Raises E307."""
    stride, dilation = stride or (1,) * rank, dilation or (1,) * rank
    padding = padding or ((0, 0),) * rank
    for name, values in (("the stride", stride), ("the padding", padding), ("the dilation", dilation)):
        checks.per_axis(name, values, rank)
    checks.positive("a stride", stride)
    checks.positive("a dilation", dilation)
    checks.not_negative("a padding", [width for pair in padding for width in pair])
    return stride, padding, dilation


def windows_that_fit(
    x: TensorType, kernel: Sequence[Size], stride: Sequence[int], padding: Pairs, dilation: Sequence[int]
) -> list[Size]:
    """How many windows fit along each of the last axes of `x`. Raises E307 where none does."""
    checks.positive("each size of a kernel", kernel)
    counts: list[Size] = []
    axes = range(x.rank - len(kernel), x.rank)
    for axis, k, s, (before, after), d in zip(axes, kernel, stride, padding, dilation, strict=True):
        room = x.shape[axis] + before + after - d * (k - 1) - 1
        if isinstance(room, int) and room < 0:
            raise error(
                "E307",
                f"a window of {d * (k - 1) + 1} does not fit into axis {axis} of {x}, padded by ({before}, {after})",
                hint="use a smaller kernel or more padding",
            )
        counts.append(room // s + 1)
    return counts


def _operands(what: str, x: TensorType, weight: TensorType, bias: TensorType | None) -> tuple[DType, int]:
    """The dtype of the result and the number of spatial axes."""
    types = (x, weight) if bias is None else (x, weight, bias)
    checks.numeric(f"`{what}`", x, weight)
    checks.real(f"`{what}`", *types)
    checks.at_least(f"the operand of `{what}`", x, 2)
    layout = "[out, in / groups, *kernel]" if what == "conv" else "[in, out / groups, *kernel]"
    checks.ranked(f"the weight of `{what}` for {x}", weight, x.rank, layout)
    if bias is not None:
        checks.ranked(f"the bias of `{what}`", bias, 1, "[out]")
    return reduce(promote, (t.dtype for t in types)), x.rank - 2


def _share(what: str, channels: Size, groups: Size) -> Size:
    if isinstance(groups, int) and groups < 1:
        raise error("E307", f"groups must be at least 1, not {groups}")
    share = divide(channels, groups)
    if share is None:
        raise error("E307", f"{groups} groups do not divide {what}, of which there are {channels}")
    return share


def _correlate(x: Array, weight: Array, stride: Sequence[int], dilation: Sequence[int], groups: int) -> Array:
    """x [N, C, *S] without padding, weight [O, C / groups, *K] -> [N, O, *T]."""
    rank = x.ndim - 2
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, x.ndim)))
    windows = windows[_every(2, (*stride, *dilation))]
    windows = windows.reshape(x.shape[0], groups, weight.shape[1], *windows.shape[2:])
    weight = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    t, k = ascii_lowercase[:rank], ascii_lowercase[rank : 2 * rank]
    y: Array = np.einsum(f"NGC{t}{k},GOC{k}->NGO{t}", windows, weight, optimize=True)
    return y.reshape(x.shape[0], y.shape[1] * y.shape[2], *y.shape[3:])


def _every(skipped: int, steps: Sequence[int]) -> tuple[slice, ...]:
    """The index that takes every `steps[i]`-th element of the axes after the first few."""
    return (*(slice(None),) * skipped, *(slice(None, None, step) for step in steps))


def _channelwise(bias: Array, rank: int) -> Array:
    return bias.reshape(-1, *(1,) * (rank - 2))


def _kernel_gradient(x: Value, g: Value, weight: Value, op: Conv | ConvTranspose) -> Value:
    """What flows back to the kernel [O, C / groups, *K] of a convolution of x [N, C, *S] to which g [N, O, *T] came.

    Of a transposed convolution x is what flows back and g its operand. It is a convolution of x with g as its kernel:
    examples take the place of channels, channels that of examples, and stride and dilation change places.
    """
    stride, padding, dilation = window_defaults(x.rank - 2, op.stride, op.padding, op.dilation)
    groups, share, spatial = op.groups, weight.shape[1], tuple(range(3, x.rank + 1))
    split = apply(Reshape((x.shape[0], groups, share, *x.shape[2:])), x)
    examples = apply(Transpose((2, 1, 0, *spatial)), split)
    examples = apply(Reshape((share, groups * x.shape[0], *x.shape[2:])), examples)
    swapped = (1, 0, *range(2, x.rank))
    exchanged = Conv(tuple(dilation), padding, tuple(stride), groups)
    y = apply(exchanged, examples, apply(Transpose(swapped), g))
    return apply(Transpose(swapped), _cut(y, (share, weight.shape[0], *weight.shape[2:])))


def _cut(y: Value, shape: tuple[Size, ...]) -> Value:
    """The first elements of `y` along each axis."""
    return y if y.shape == shape else apply(Slice((0,) * y.rank, shape, (1,) * y.rank), y)


def _over_channels(g: Value) -> Value:
    """The sum over all axes but that of channels."""
    return apply(Sum((0, *range(2, g.rank))), g)
