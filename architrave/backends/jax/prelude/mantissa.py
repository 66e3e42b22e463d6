"""Floats with fewer bits in their mantissa, by the bits of float32."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import jax
import jax.numpy as jnp


def power_of_two(x: jax.Array, offset: int) -> jax.Array:
    """The power of two below x, or above it where its bits and offset are more than the next one's; NaN stays."""
    bits = x.astype(jnp.float32).view(jnp.int32)
    y = (bits + offset & -(1 << 23)).view(jnp.float32)
    y = jnp.where(jnp.isnan(x), x, y.astype(x.dtype))
    return straight_through(y, x, jnp.isfinite(x))


def round_mantissa(x: jax.Array, bits: int, half: bool) -> jax.Array:
    """x with as many bits in its mantissa, half to even or else towards zero; NaN stays."""
    word, lost = x.astype(jnp.float32).view(jnp.int32), 23 - bits
    if half and lost:
        word = word + (word >> lost & 1) + ((1 << lost - 1) - 1)
    y = (word >> lost << lost).view(jnp.float32)
    y = jnp.where(jnp.isnan(x), x, y.astype(x.dtype))
    return straight_through(y, x, jnp.isfinite(x))


def straight_through(y: jax.Array, x: jax.Array, inside: jax.Array) -> jax.Array:
    """y, with the gradient of x where inside. A difference keeps the sign of zeros."""
    through = jnp.where(inside, x, 0)
    return jax.lax.stop_gradient(y) - (jax.lax.stop_gradient(through) - through)
