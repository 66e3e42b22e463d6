"""Normalization by given or computed statistics: `(x - mean) / sqrt(var + eps) * weight + bias`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from architrave.ir.arrays import np
from architrave.ir.dims import Size, divide
from architrave.ir.graph import Value, apply, make
from architrave.ir.op import Gradients, Op, Sample, Values, sample
from architrave.ir.ops import checks
from architrave.ir.ops.elementwise import Rsqrt
from architrave.ir.ops.reduce import Sum
from architrave.ir.ops.shape import Reshape
from architrave.ir.ops.statistics import Mean, Moments
from architrave.ir.source import error
from architrave.ir.types import TensorType, promote

if TYPE_CHECKING:
    from architrave.ir.axes.rest import Cut


class BatchNorm(Op):
    """x [N, C, *S] by the given mean [C] and variance [C] of each channel, then scaled and shifted.

    Ioffe and Szegedy, "Batch Normalization" (2015). In training the statistics are those of the batch, from
    `moments`; afterwards they are weights.
    """

    eps: float = 1e-5

    def infer(
        self,
        x: TensorType,
        mean: TensorType,
        var: TensorType,
        weight: TensorType | None = None,
        bias: TensorType | None = None,
    ) -> TensorType:
        checks.at_least("`batch_norm` of [N, C, *S]", x, 2)
        given = {"mean": mean, "variance": var, "weight": weight, "bias": bias}
        return _normalized("batch_norm", x, 1, given, self.eps)

    def expand(
        self, x: Value, mean: Value, var: Value, weight: Value | None = None, bias: Value | None = None
    ) -> Value:
        scale = apply(Rsqrt(), var + self.eps)
        y = (x - _along(mean, 1, x.rank)) * _along(scale, 1, x.rank)
        return _affine(y, weight, bias, 1)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x, mean, var, *affine), (g,) = operands, cotangents
        over_channels = Sum(tuple(axis for axis in range(x.rank) if axis != 1))
        total = apply(over_channels, g)
        moment = apply(over_channels, g * (x - _along(mean, 1, x.rank)))
        scale = apply(Rsqrt(), var + self.eps)
        slope = scale * affine[0] if affine else scale
        by_var = -0.5 * moment * slope * (scale * scale)
        return g * _along(slope, 1, x.rank), -total * slope, by_var, *(moment * scale, total)[: len(affine)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        var = np.array([0.5, 1.0, 2.0])
        yield sample([2, 3, 4, 5], [3], var, [3], [3])
        yield sample([2, 3], [3], var, [3], eps=1e-3)
        yield sample([2, 3, 4], [3], var)
        yield sample([0, 3, 4], [3], var, [3], [3])
        yield sample([2, 3, 4], [4], var, error="E305")
        yield sample([2, 3, 4], [3], var, [3, 1], error="E304")
        yield sample([3], [3], var, error="E304")
        yield sample([2, 3], [3], var, eps=-1.0, error="E307")


class LayerNorm(Op):
    """The last axis of x [..., C] by its own mean and variance, then scaled and shifted by [C].

    Ba, Kiros and Hinton, "Layer Normalization" (2016).
    """

    eps: float = 1e-5

    def infer(self, x: TensorType, weight: TensorType | None = None, bias: TensorType | None = None) -> TensorType:
        checks.at_least("`layer_norm`", x, 1)
        return _normalized("layer_norm", x, -1, {"weight": weight, "bias": bias}, self.eps)

    def expand(self, x: Value, weight: Value | None = None, bias: Value | None = None) -> Value:
        return _affine(_standardized(x, (-1,), self.eps), weight, bias, -1)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x, *affine), (g,) = operands, cotangents
        mean, var = make(Moments((-1,), keep=True), (x,)).outputs
        scale = apply(Rsqrt(), var + self.eps)
        y = (x - mean) * scale
        by_x = scale * _unstandardized(g * affine[0] if affine else g, y, (-1,))
        return by_x, *(g * y, g)[: len(affine)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5, 3], [3], [3])
        yield sample([2, 3], [3], eps=1e-3)
        yield sample([4])
        yield sample([3, 1], [1], [1], eps=0.1)
        yield sample([0, 3], [3], [3])
        yield sample([2, 3], [2], error="E305")
        yield sample([2, 3], [1, 3], error="E304")
        yield sample([], error="E304")


class RmsNorm(Op):
    """x [..., C] over the root of the mean of its squares along the last axis, then scaled by [C].

    Zhang and Sennrich, "Root Mean Square Layer Normalization" (2019).
    """

    eps: float = 1e-6

    def infer(self, x: TensorType, weight: TensorType | None = None) -> TensorType:
        checks.at_least("`rms_norm`", x, 1)
        return _normalized("rms_norm", x, -1, {"weight": weight}, self.eps)

    def expand(self, x: Value, weight: Value | None = None) -> Value:
        y = x * apply(Rsqrt(), apply(Mean((-1,), keep=True), x * x) + self.eps)
        return _affine(y, weight, None, -1)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x, *weight), (g,) = operands, cotangents
        mean = Mean((-1,), keep=True)
        scale = apply(Rsqrt(), apply(mean, x * x) + self.eps)
        y = x * scale
        inner = g * weight[0] if weight else g
        return scale * (inner - y * apply(mean, inner * y)), *(g * y for _ in weight)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 5, 3], [3])
        yield sample([4], eps=1e-3)
        yield sample([3, 1], [1])
        yield sample([0, 3], [3])
        yield sample([2, 3], [2], error="E305")
        yield sample([], error="E304")


class GroupNorm(Op):
    """x [N, C, *S]: each of `groups` groups of channels of each example by its own mean and variance.

    Wu and He, "Group Normalization" (2018). One group for each channel is instance normalization.
    """

    groups: Size
    eps: float = 1e-5

    def infer(self, x: TensorType, weight: TensorType | None = None, bias: TensorType | None = None) -> TensorType:
        checks.at_least("`group_norm` of [N, C, *S]", x, 2)
        if isinstance(self.groups, int) and self.groups < 1:
            raise error("E307", f"groups must be at least 1, not {self.groups}")
        if divide(x.shape[1], self.groups) is None:
            raise error("E307", f"{self.groups} groups do not divide the {x.shape[1]} channels of {x}")
        return _normalized("group_norm", x, 1, {"weight": weight, "bias": bias}, self.eps)

    def expand(self, x: Value, weight: Value | None = None, bias: Value | None = None) -> Value:
        grouped = self._grouped(x)
        y = _standardized(grouped, tuple(range(2, grouped.rank)), self.eps)
        return _affine(apply(Reshape(x.shape), y), weight, bias, 1)

    def gradient(self, operands: Values, results: Values, cotangents: Values) -> Gradients:
        (x, *affine), (g,) = operands, cotangents
        grouped = self._grouped(x)
        inside = tuple(range(2, grouped.rank))
        mean, var = make(Moments(inside, keep=True), (grouped,)).outputs
        scale = apply(Rsqrt(), var + self.eps)
        y = (grouped - mean) * scale
        inner = g * _along(affine[0], 1, x.rank) if affine else g
        by_x = apply(Reshape(x.shape), scale * _unstandardized(self._grouped(inner), y, inside))
        over_channels = Sum(tuple(axis for axis in range(x.rank) if axis != 1))
        by_affine = (g * apply(Reshape(x.shape), y), g)[: len(affine)]
        return by_x, *(apply(over_channels, part) for part in by_affine)

    def _grouped(self, x: Value) -> Value:
        """`x` [N, C, *S] as [N, groups, C / groups, *S]."""
        share = divide(x.shape[1], self.groups)
        assert share is not None
        return apply(Reshape((x.shape[0], self.groups, share, *x.shape[2:])), x)

    def cut(self, cut: Cut) -> GroupNorm:
        x = cut.operands[0]
        return dataclasses.replace(
            self, groups=x.groups(1, self.groups) if isinstance(self.groups, int) else self.groups
        )

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield sample([2, 6, 4, 5], [6], [6], groups=3)
        yield sample([2, 4, 3], groups=4)
        yield sample([2, 4], [4], groups=1, eps=1e-3)
        yield sample([0, 4, 3], [4], [4], groups=2)
        yield sample([2, 4, 3], groups=3, error="E307")
        yield sample([2, 4, 3], groups=0, error="E307")
        yield sample([2, 4, 3], [3], groups=2, error="E305")


def _normalized(what: str, x: TensorType, axis: int, given: dict[str, TensorType | None], eps: float) -> TensorType:
    """The type of a normalized `x`; whatever is given for each place along `axis` must fit. Raises E3xx."""
    checks.real(f"`{what}`", x)
    if not eps >= 0:
        raise error("E307", f"eps must be at least 0, not {eps}")
    dtype = checks.floating(x.dtype)
    for name, type in given.items():
        if type is None:
            continue
        checks.ranked(f"the {name} of `{what}`", type, 1, "[C]")
        checks.same(f"the channels of `{what}`", x.shape[axis], f"axis {axis} of {x}", type.shape[0], f"the {name}")
        dtype = promote(dtype, type.dtype)
    return x.with_dtype(dtype)


def _standardized(x: Value, axes: tuple[int, ...], eps: float) -> Value:
    """`x` with mean 0 and variance 1 over `axes`."""
    mean, var = make(Moments(axes, keep=True), (x,)).outputs
    return (x - mean) * apply(Rsqrt(), var + eps)


def _unstandardized(g: Value, y: Value, axes: tuple[int, ...]) -> Value:
    """What flows back through `y = (x - mean) / std` over `axes`, but for the factor `1 / std`."""
    mean = Mean(axes, keep=True)
    return g - apply(mean, g) - y * apply(mean, g * y)


def _affine(y: Value, weight: Value | None, bias: Value | None, axis: int) -> Value:
    if weight is not None:
        y = y * _along(weight, axis, y.rank)
    return y if bias is None else y + _along(bias, axis, y.rank)


def _along(vector: Value, axis: int, rank: int) -> Value:
    """A vector as a tensor that broadcasts along `axis`."""
    after = rank - 1 - axis % rank
    return apply(Reshape((vector.shape[0], *(1,) * after)), vector) if after else vector
