# pyright: reportUnknownMemberType=false
"""Convolutions and pooling on XLA's own operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def convolve(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> jax.Array:
    """Cross-correlation of x [N, C, *spatial] with weight [out, C / groups, *kernel]."""
    rank = weight.ndim - 2
    y = lax.conv_general_dilated(
        x,
        weight,
        per_axis(stride, rank),
        pairs(padding, rank),
        rhs_dilation=per_axis(dilation, rank),
        feature_group_count=groups,
    )
    return y if bias is None else y + bias.reshape(-1, *(1,) * rank)


def convolve_transpose(
    x: jax.Array,
    weight: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> jax.Array:
    """The transpose of `convolve`: a cell of x [N, C, *spatial] adds a multiple of weight [C, out / groups, *kernel].

    `padding` is cut from the result, `output_padding` added at its end.
    """
    kernel = weight.shape[2:]
    rank = len(kernel)
    dilation = per_axis(dilation, rank)
    reach = [d * (k - 1) for d, k in zip(dilation, kernel)]
    # A convolution of x, spread out by the stride, with the kernel turned around and its channels exchanged.
    turned = jnp.flip(weight, range(2, weight.ndim)).reshape(groups, -1, *weight.shape[1:])
    turned = turned.swapaxes(1, 2).reshape(-1, weight.shape[0] // groups, *kernel)
    cut = [(r - before, r - after) for r, (before, after) in zip(reach, pairs(padding, rank))]
    cut = [(before, after + extra) for (before, after), extra in zip(cut, per_axis(output_padding, rank))]
    y = lax.conv_general_dilated(
        x,
        turned,
        (1,) * rank,
        cut,
        lhs_dilation=per_axis(stride, rank),
        rhs_dilation=dilation,
        feature_group_count=groups,
    )
    return y if bias is None else y + bias.reshape(-1, *(1,) * rank)


def max_pool(
    x: jax.Array,
    kernel: tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> jax.Array:
    """The largest value of each window over the last axes of x; padding is never chosen."""
    if dilation != 1:  # JAX has no gradient for its own
        places, lead = max_pool_places(x, kernel, stride, padding, dilation), x.shape[: x.ndim - len(kernel)]
        flat, chosen = (y.reshape(*lead, math.prod(y.shape[len(lead) :])) for y in (x, places))
        return jnp.take_along_axis(flat, chosen, -1).reshape(places.shape)
    lowest = np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -np.inf
    return reduce_windows(lax.max, np.asarray(lowest, x.dtype), x, kernel, stride, padding, dilation)


def max_pool_places(
    x: jax.Array,
    kernel: tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
) -> jax.Array:
    """Where `max_pool` finds its values, the first of equals: places in the plane of the last axes, row by row."""
    plane = x.shape[x.ndim - len(kernel) :]
    places = jnp.broadcast_to(jnp.arange(math.prod(plane)).reshape(plane), x.shape)

    def better(a: tuple[jax.Array, jax.Array], b: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        (x, i), (y, j) = a, b
        x_nan, y_nan = x != x, y != y
        before = (x > y) | (x_nan & ~y_nan) | (((x == y) | (x_nan & y_nan)) & (i < j))
        chosen = (j < 0) | ((i >= 0) & before)
        return jnp.where(chosen, x, y), jnp.where(chosen, i, j)

    start = (np.zeros((), x.dtype), np.asarray(-1, places.dtype))
    return reduce_windows(better, start, (lax.stop_gradient(x), places), kernel, stride, padding, dilation)[1]


def avg_pool(
    x: jax.Array,
    kernel: tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: int | tuple[tuple[int, int], ...] = 0,
    count_padding: bool = True,
) -> jax.Array:
    """The mean of each window over the last axes of x; with `count_padding`, padding is zeros that count."""
    total = reduce_windows(lax.add, np.zeros((), x.dtype), x, kernel, stride, padding)
    if count_padding or padding == 0:
        return total / math.prod(kernel)
    inside = jnp.ones(x.shape[x.ndim - len(kernel) :], x.dtype)
    return total / reduce_windows(lax.add, np.zeros((), x.dtype), inside, kernel, stride, padding)


def reduce_windows(
    combine: Callable[..., Any],
    start: Any,
    x: Any,
    kernel: tuple[int, ...],
    stride: int | tuple[int, ...],
    padding: int | tuple[tuple[int, int], ...],
    dilation: int | tuple[int, ...] = 1,
) -> Any:
    """`combine` over the cells of each window over the last axes of x; padding is `start`. Both may be tuples."""
    rank = len(kernel)
    lead = jax.tree.leaves(x)[0].ndim - rank
    return lax.reduce_window(
        x,
        start,
        combine,
        (1,) * lead + kernel,
        (1,) * lead + per_axis(stride, rank),
        ((0, 0),) * lead + pairs(padding, rank),
        window_dilation=(1,) * lead + per_axis(dilation, rank),
    )


def per_axis(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """One number for each axis."""
    return (value,) * rank if isinstance(value, int) else value


def pairs(padding: int | tuple[tuple[int, int], ...], rank: int) -> tuple[tuple[int, int], ...]:
    """A padding (before, after) for each axis."""
    return ((padding, padding),) * rank if isinstance(padding, int) else padding
