"""The bits of integers."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import jax
import jax.numpy as jnp


def shift_left(x: jax.Array, count: jax.Array) -> jax.Array:
    """x with its bits moved to the left; 0 where all of them are gone."""
    inside = (count >= 0) & (count < 8 * x.dtype.itemsize)
    return jnp.where(inside, x << jnp.where(inside, count, 0).astype(x.dtype), 0)


def shift_right(x: jax.Array, count: jax.Array, logical: bool = False) -> jax.Array:
    """x with its bits moved to the right; from the left comes the sign, or zeros for `logical`."""
    inside = (count >= 0) & (count < 8 * x.dtype.itemsize)
    x, by = jnp.broadcast_arrays(x, jnp.where(inside, count, 0).astype(x.dtype))
    if logical:
        return jnp.where(inside, jax.lax.shift_right_logical(x, by), 0)
    return jnp.where(inside, x >> by, jnp.where(x < 0, ~jnp.zeros_like(x), 0))
