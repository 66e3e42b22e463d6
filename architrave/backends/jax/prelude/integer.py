"""Contractions of the integers of quantized networks: products of bytes that XLA sums in 32 bits, floats elsewhere.

Floats are exact here: so few products are summed at a time that 24 bits hold the sum.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

from architrave.backends.jax.prelude.conv import pairs, per_axis

EXACT_PRODUCTS = 256
"""So many products of integers up to 255 are exact in float32, and their sums."""


def linear_integer(x: jax.Array, weight: jax.Array, zero: jax.Array | int = 0, bias: jax.Array | int = 0) -> jax.Array:
    """`(x - zero) @ weight.T + bias` of integers of eight bits x [..., I] and weight [O, I], as int32."""
    if is_plain(weight, zero):
        return byte_product(*signed(x, zero), weight) + bias
    return exact_product(x.astype(jnp.float32) - zero, weight.T.astype(jnp.float32)) + bias


def matmul_integer(a: jax.Array, b: jax.Array, a_zero: jax.Array | int = 0, b_zero: jax.Array | int = 0) -> jax.Array:
    """`(a - a_zero) @ (b - b_zero)` of integers of eight bits, as int32."""
    return exact_product(a.astype(jnp.float32) - a_zero, b.astype(jnp.float32) - b_zero)


def convolve_integer(
    x: jax.Array,
    weight: jax.Array,
    zero: jax.Array | int = 0,
    bias: jax.Array | int = 0,
    *,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[tuple[int, int], ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> jax.Array:
    """Cross-correlation of x [N, C, *spatial] - zero with weight [out, C / groups, *kernel], plus bias, as int32."""
    rank = weight.ndim - 2
    widths = pairs(padding, rank)
    window = (weight.shape[2:], per_axis(stride, rank), per_axis(dilation, rank))
    if groups == 1 and is_plain(weight, zero):
        x, zero = signed(x, zero)
        seen = taps_last(padded(x, widths, zero), *window)
        y = byte_product(flat(seen), zero, flat(kernels(weight)))
    else:
        x = padded(x.astype(jnp.float32) - zero, widths, 0)
        y = grouped_product(taps_last(x, *window), kernels(weight).astype(jnp.float32), groups)
    return jnp.moveaxis(y + bias, -1, 1)


def byte_product(x: jax.Array, zero: jax.Array | int, weight: jax.Array) -> jax.Array:
    """`(x - zero) @ weight.T` of int8, as int32."""
    y = lax.dot_general(x, weight, (((x.ndim - 1,), (1,)), ((), ())), preferred_element_type=jnp.int32)
    return y if isinstance(zero, int) and zero == 0 else y - zero * weight.sum(1, dtype=jnp.int32)


def exact_product(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a @ b` of whole numbers up to 255 that floats hold, as int32: by spans of the inner axis."""
    row, column = a.ndim == 1, b.ndim == 1
    a, b = a[None] if row else a, b[:, None] if column else b
    count = max(-(-a.shape[-1] // EXACT_PRODUCTS), 1)
    span = EXACT_PRODUCTS if count > 1 else a.shape[-1]
    missing = (0, count * span - a.shape[-1])
    a = jnp.pad(a, [*[(0, 0)] * (a.ndim - 1), missing]).reshape(*a.shape[:-1], count, span)
    b = jnp.pad(b, [*[(0, 0)] * (b.ndim - 2), missing, (0, 0)]).reshape(*b.shape[:-2], count, span, b.shape[-1])
    y = (a.swapaxes(-3, -2) @ b).astype(jnp.int32).sum(-3, dtype=jnp.int32)
    return y.squeeze((-2,) * row + (-1,) * column)


def grouped_product(seen: jax.Array, kernels: jax.Array, groups: int) -> jax.Array:
    """What each kernel of kernels [out, taps, C / groups] makes of seen [..., taps, C]: [..., out], as int32."""
    out, taps, share = kernels.shape
    if share == 1:  # channel by channel: few products, and no sum of them is worth a matrix
        repeated = jnp.repeat(seen, out // groups, -1)
        return (repeated.astype(jnp.int32) * kernels[..., 0].T.astype(jnp.int32)).sum(-2, dtype=jnp.int32)
    columns = jnp.moveaxis(seen.reshape(*seen.shape[:-1], groups, share), -2, 0)
    columns = columns.reshape(groups, math.prod(seen.shape[:-2]), taps * share)
    matrix = kernels.reshape(groups, out // groups, taps * share)
    y = exact_product(columns, matrix.swapaxes(1, 2))
    return jnp.moveaxis(y, 0, 1).reshape(*seen.shape[:-2], out)


def is_plain(weight: jax.Array, zero: jax.Array | int) -> bool:
    """Whether a product of bytes, and the zero point times sums of the weight, are all that it takes."""
    return weight.dtype == jnp.int8 and (isinstance(zero, int) or zero.ndim == 0)


def signed(x: jax.Array, zero: jax.Array | int) -> tuple[jax.Array, jax.Array | int]:
    """Bytes from -128 to 127, and their zero point."""
    return (x, zero) if x.dtype == jnp.int8 else (lax.bitcast_convert_type(x ^ 128, jnp.int8), zero - 128)


def padded(x: jax.Array, widths: tuple[tuple[int, int], ...], value: jax.Array | int) -> jax.Array:
    """x [N, C, *spatial], padded, as [N, *spatial, C]."""
    edges = [(before, after, 0) for before, after in ((0, 0), *widths, (0, 0))]
    return lax.pad(jnp.moveaxis(x, 1, -1), jnp.asarray(value, x.dtype), edges)


def taps_last(x: jax.Array, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> jax.Array:
    """What the taps of a kernel see of x [N, *spatial, C]: [N, *size, taps, C]."""
    for axis, (k, s, d) in enumerate(zip(kernel, stride, dilation), 1):
        last = x.shape[axis] - d * (k - 1)
        x = jnp.stack([lax.slice_in_dim(x, t * d, t * d + last, s, axis) for t in range(k)], -2)
    return x.reshape(*x.shape[: 1 + len(kernel)], math.prod(kernel), x.shape[-1])


def kernels(weight: jax.Array) -> jax.Array:
    """weight [out, C, *kernel] as [out, taps, C]."""
    return jnp.moveaxis(weight, 1, -1).reshape(len(weight), math.prod(weight.shape[2:]), weight.shape[1])


def flat(x: jax.Array) -> jax.Array:
    """x with its last two axes as one."""
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])
