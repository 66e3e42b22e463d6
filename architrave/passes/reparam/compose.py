"""Two affine maps in a row as one."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

from architrave.ir.graph import Value, apply
from architrave.ir.ops.contraction import Einsum
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.shape import Flip, Reshape, Transpose
from architrave.passes.reparam.affine import Affine, Dense, Scale, Transposed, Window, fits, larger, plus, times
from architrave.passes.reparam.kernels import LETTERS, applied, over_inputs, over_outputs, regrouped, spread

BORDER = (
    "zeros are put around what lies between the two, and the first of them adds something there: "
    "the merged one would see that at the border"
)


def composed(outer: Affine, inner: Affine) -> Affine | str:
    """`outer` after `inner`, where `outer.x` is what `inner` gives; or why they cannot be one."""
    match outer, inner:
        case Scale(), Scale():
            return _scale_of_scale(outer, inner)
        case Scale(), Dense():
            return _scale_of_dense(outer, inner)
        case Dense(), Scale():
            return _dense_of_scale(outer, inner)
        case Dense(), Dense():
            return _dense_of_dense(outer, inner)
        case Scale(), Transposed():
            return _scale_of_transposed(outer, inner)
        case Transposed(), Scale():
            return _transposed_of_scale(outer, inner)
        case _:
            return "a transposed convolution takes in scales alone"


def _scale_of_scale(outer: Scale, inner: Scale) -> Affine | str:
    if outer.axis is not None and inner.axis is not None and outer.axis != inner.axis:
        return "they scale different axes"
    axis = inner.axis if outer.axis is None else outer.axis
    shift = None if inner.shift is None else times(outer.scale, inner.shift)
    return Scale(inner.x, axis, times(outer.scale, inner.scale), plus(shift, outer.shift))


def _scale_of_dense(outer: Scale, inner: Dense) -> Affine | str:
    along = outer.along(inner.axis, inner.out[inner.axis])
    if along is None:
        return "the scale is not along the channels"
    weight = inner.weight if along.scale is None else over_outputs(inner.weight, along.scale)
    bias = None if inner.bias is None else times(along.scale, inner.bias)
    return Dense(inner.x, inner.axis, weight, plus(bias, along.shift), inner.window, inner.out, inner.marks)


def _dense_of_scale(outer: Dense, inner: Scale) -> Affine | str:
    along = inner.along(outer.axis, inner.x.shape[outer.axis])
    if along is None:
        return "the scale is not along the channels"
    if along.shift is not None and outer.window.is_padded:
        return BORDER
    groups = outer.window.groups
    weight = outer.weight if along.scale is None else over_inputs(outer.weight, along.scale, groups)
    shifted = None if along.shift is None else applied(outer.weight, along.shift, groups)
    return Dense(inner.x, outer.axis, weight, plus(shifted, outer.bias), outer.window, outer.out, outer.marks)


def _scale_of_transposed(outer: Scale, inner: Transposed) -> Affine | str:
    along = outer.along(1, inner.out[1])
    if along is None:
        return "the scale is not along the channels"
    groups = inner.op.groups
    assert isinstance(groups, int)
    # Its weight [C, O / groups, *K] has outputs where that of a convolution has inputs.
    weight = inner.weight if along.scale is None else over_inputs(inner.weight, along.scale, groups)
    bias = None if inner.bias is None else times(along.scale, inner.bias)
    return replace(inner, weight=weight, bias=plus(bias, along.shift))


def _transposed_of_scale(outer: Transposed, inner: Scale) -> Affine | str:
    along = inner.along(1, inner.x.shape[1])
    if along is None:
        return "the scale is not along the channels"
    if along.shift is not None:
        return "what is added before a transposed convolution meets more of its taps in the middle than at the border"
    weight = outer.weight if along.scale is None else over_outputs(outer.weight, along.scale)
    return replace(outer, x=inner.x, weight=weight)


def _dense_of_dense(outer: Dense, inner: Dense) -> Affine | str:
    if outer.axis != inner.axis:
        return "they act on different axes"
    if outer.window.is_padded and inner.bias is not None:
        return BORDER
    for (lo, hi), k, own in zip(outer.window.padding, inner.kernel, inner.window.padding, strict=True):
        if (lo, hi) != (0, 0) and (k > 1 or own != (0, 0)):
            return "zeros are put around what lies between the two, where the merged one would see its input"
    groups = gcd(outer.window.groups, inner.window.groups)
    first = regrouped(inner.weight, inner.window.groups, groups)
    second = regrouped(outer.weight, outer.window.groups, groups)
    weight = _product(second, first, outer, inner, groups)
    bias = None if inner.bias is None else applied(outer.weight, inner.bias, outer.window.groups)
    window = _window(outer, inner, groups)
    merged = Dense(inner.x, inner.axis, weight, plus(bias, outer.bias), window, outer.out, larger(outer, inner).marks)
    return merged if fits(merged) else "the merged one would give another size"


def _window(outer: Dense, inner: Dense, groups: int) -> Window:
    """The steps multiply; along each axis the zeros are those of the one map that has any there."""
    first, second = inner.window, outer.window
    stride = tuple(a * b for a, b in zip(first.stride, second.stride, strict=True))
    padding = tuple(
        own if (lo, hi) == (0, 0) else (lo * s, hi * s)
        for (lo, hi), own, s in zip(second.padding, first.padding, first.stride, strict=True)
    )
    apart = [
        1 if dense else inside if k == 1 else own
        for dense, inside, own, k in zip(
            _are_both_wide(outer, inner), _inside(outer, inner), first.dilation, inner.kernel, strict=True
        )
    ]
    return Window(stride, padding, tuple(apart), groups)


def _are_both_wide(outer: Dense, inner: Dense) -> list[bool]:
    """The axes along which both kernels have several taps: there the merged one has them all, next to one another."""
    return [a > 1 and b > 1 for a, b in zip(outer.kernel, inner.kernel, strict=True)]


def _inside(outer: Dense, inner: Dense) -> list[int]:
    """How far the taps of the outer kernel are apart in what the inner one sees."""
    return [d * s for d, s in zip(outer.window.dilation, inner.window.stride, strict=True)]


def _product(second: Value, first: Value, outer: Dense, inner: Dense, groups: int) -> Value:
    """The kernel of both: [O, I / groups, *K], from [O, M / groups, *K2] and [M, I / groups, *K1]."""
    rank = outer.window.rank
    if not (inner.is_pointwise or outer.is_pointwise):
        return _correlated(second, first, outer, inner, groups)
    axes = LETTERS[:rank]
    kernel = (outer if inner.is_pointwise else inner).weight.shape[2:]
    parted = [_parted(weight, groups) for weight in (second, first)]
    left, right = ("", axes) if outer.is_pointwise else (axes, "")
    bare = (
        [w if keeps else apply(Reshape(w.shape[:3]), w) for w, keeps in zip(parted, (left, right), strict=True)]
        if rank
        else parted
    )
    joined = apply(Einsum(f"gom{left},gmi{right}->goi{axes}"), *bare)
    return apply(Reshape((second.shape[0], first.shape[1], *kernel)), joined)


def _parted(weight: Value, groups: int) -> Value:
    return apply(Reshape((groups, weight.shape[0] // groups, *weight.shape[1:])), weight)


def _correlated(second: Value, first: Value, outer: Dense, inner: Dense, groups: int) -> Value:
    """Each tap of the second kernel sees the whole first one: a convolution of the first with the second, turned round.

    Input channels stand where examples do: [I / groups, M, *K1] with [O, M / groups, *K2] gives [I / groups, O, *K].
    """
    rank = outer.window.rank
    wide = _are_both_wide(outer, inner)
    second = spread(second, [d if both else 1 for d, both in zip(_inside(outer, inner), wide, strict=True)])
    first = spread(first, [d if both else 1 for d, both in zip(inner.window.dilation, wide, strict=True)])
    swapped = (1, 0, *range(2, rank + 2))
    turned = apply(Flip(tuple(range(2, rank + 2))), second)
    # The other way round each tap would be multiplied by the one opposite to it.
    reach = tuple((k - 1, k - 1) for k in second.shape[2:] if isinstance(k, int))
    made = apply(Conv((1,) * rank, reach, (1,) * rank, groups), apply(Transpose(swapped), first), turned)
    return apply(Transpose(swapped), made)
