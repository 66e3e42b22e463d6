"""Products by additions of bits."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import jax
import jax.numpy as jnp

from architrave.backends.jax.prelude.mantissa import round_mantissa, straight_through

PRODUCTS_AT_ONCE = 1 << 20
"""About how many products are there at a time."""


def l_mul(a: jax.Array, b: jax.Array, mantissa: int, offset: int, dtype: type) -> jax.Array:
    """About a * b, by adding bits of float32. The gradient is that of the true product."""
    exact = a.astype(dtype) * b.astype(dtype)
    y = added(jax.lax.stop_gradient(a), jax.lax.stop_gradient(b), mantissa, offset)
    return straight_through(y.astype(dtype), exact, jnp.isfinite(exact))


def added(a: jax.Array, b: jax.Array, mantissa: int, offset: int) -> jax.Array:
    """The float32 whose bits are the sum of two numbers' bits and an offset. What is not a normal number is 0."""
    x, y = (round_mantissa(v.astype(jnp.float32), mantissa, True).view(jnp.int32) for v in (a, b))
    least, infinity, nan, sign = 0x00800000, 0x7F800000, 0x7FC00000, -0x80000000
    low, high = jnp.minimum(x & ~sign, y & ~sign), jnp.maximum(x & ~sign, y & ~sign)
    first = high + offset
    total = first + jnp.minimum(low, infinity - jnp.maximum(first, 0))  # not beyond infinity
    total = jnp.where((low < least) | (total < least), 0, total)
    total = jnp.where(high < infinity, total, jnp.where(low < least, nan, high))
    return ((x ^ y) & sign | total).view(jnp.float32)


def l_mul_matmul(a: jax.Array, b: jax.Array, mantissa: int, offset: int, dtype: type) -> jax.Array:
    """a [..., M, K] times b [..., K, N] by l_mul, added in float32; some rows at a time. The gradient is matmul's."""
    exact = a.astype(dtype) @ b.astype(dtype)
    left, right = jax.lax.stop_gradient(jnp.moveaxis(a, -2, 0)), jax.lax.stop_gradient(b)
    rows = max(PRODUCTS_AT_ONCE // max(exact[..., :1, :].size * a.shape[-1], 1), 1)

    def product(row: jax.Array) -> jax.Array:
        return summed(added(row[..., None], right, mantissa, offset))

    y = jax.lax.map(product, left, batch_size=rows)
    return straight_through(jnp.moveaxis(y, 0, -2).astype(dtype), exact, jnp.isfinite(exact))


def summed(x: jax.Array) -> jax.Array:
    """The sum along the last axis but one: the first half plus the second, again and again, as on every backend."""
    while x.shape[-2] > 1:
        half = x.shape[-2] // 2
        x = jnp.concatenate([x[..., :half, :] + x[..., half : 2 * half, :], x[..., 2 * half :, :]], -2)
    return x[..., 0, :]
