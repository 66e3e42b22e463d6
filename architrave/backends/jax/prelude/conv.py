# pyright: reportUnknownMemberType=false
"""Convolutions and pooling on XLA's own operations."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def convolve(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: tuple[int, ...] = (),
    padding: tuple[tuple[int, int], ...] = (),
    dilation: tuple[int, ...] = (),
    groups: int = 1,
) -> jax.Array:
    """Cross-correlation of x [N, C, *spatial] with weight [out, C / groups, *kernel]."""
    rank = weight.ndim - 2
    y = lax.conv_general_dilated(
        x,
        weight,
        stride or (1,) * rank,
        padding or ((0, 0),) * rank,
        rhs_dilation=dilation or None,
        feature_group_count=groups,
    )
    return y if bias is None else y + bias.reshape(-1, *(1,) * rank)


def convolve_transpose(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: tuple[int, ...] = (),
    padding: tuple[tuple[int, int], ...] = (),
    output_padding: tuple[int, ...] = (),
    dilation: tuple[int, ...] = (),
    groups: int = 1,
) -> jax.Array:
    """The transpose of `convolve`: a cell of x [N, C, *spatial] adds a multiple of weight [C, out / groups, *kernel].

    `padding` is cut from the result, `output_padding` added at its end.
    """
    kernel = weight.shape[2:]
    rank = len(kernel)
    padding, dilation = padding or ((0, 0),) * rank, dilation or (1,) * rank
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    # A convolution of x, spread out by the stride, with the kernel turned around and its channels exchanged.
    turned = jnp.flip(weight, range(2, weight.ndim)).reshape(groups, -1, *weight.shape[1:])
    turned = turned.swapaxes(1, 2).reshape(-1, weight.shape[0] // groups, *kernel)
    cut = [(r - before, r - after) for r, (before, after) in zip(reach, padding)]
    cut = [(before, after + extra) for (before, after), extra in zip(cut, output_padding or (0,) * rank)]
    y = lax.conv_general_dilated(
        x,
        turned,
        (1,) * rank,
        cut,
        lhs_dilation=stride or (1,) * rank,
        rhs_dilation=dilation,
        feature_group_count=groups,
    )
    return y if bias is None else y + bias.reshape(-1, *(1,) * rank)


def max_pool(
    x: jax.Array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...] = (),
    dilation: tuple[int, ...] = (),
) -> jax.Array:
    """The largest value of each window over the last axes of x; padding is never chosen."""
    lowest = np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -np.inf
    lead = x.ndim - len(kernel)
    return lax.reduce_window(
        x,
        np.asarray(lowest, x.dtype),
        lax.max,
        (1,) * lead + kernel,
        (1,) * lead + stride,
        ((0, 0),) * lead + (padding or ((0, 0),) * len(kernel)),
        window_dilation=(1,) * lead + (dilation or (1,) * len(kernel)),
    )


def avg_pool(
    x: jax.Array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...] = (),
    count_padding: bool = True,
) -> jax.Array:
    """The mean of each window over the last axes of x; with `count_padding`, padding is zeros that count."""
    total = window_sum(x, kernel, stride, padding)
    if count_padding or not padding:
        return total / math.prod(kernel)
    return total / window_sum(jnp.ones(x.shape[x.ndim - len(kernel) :], x.dtype), kernel, stride, padding)


def window_sum(
    x: jax.Array, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[tuple[int, int], ...]
) -> jax.Array:
    """The sum of each window over the last axes of x, padded with zeros."""
    lead = x.ndim - len(kernel)
    return lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        (1,) * lead + kernel,
        (1,) * lead + stride,
        ((0, 0),) * lead + (padding or ((0, 0),) * len(kernel)),
    )
