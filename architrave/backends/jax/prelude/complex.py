"""Complex numbers."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import jax
import jax.numpy as jnp


def complex_of(re: jax.Array, im: jax.Array) -> jax.Array:
    """`re + i im`, of single precision at least."""
    dtype = jnp.promote_types(jnp.result_type(re, im), jnp.float32)
    re, im = jnp.broadcast_arrays(jnp.asarray(re, dtype), jnp.asarray(im, dtype))
    return jax.lax.complex(re, im)


def angle_of(y: jax.Array, x: jax.Array) -> jax.Array:
    """The angle of the point (x, y); at the origin the gradient is 0."""
    still = (x == 0) & (y == 0)
    y = jnp.where(still, jax.lax.stop_gradient(y), y)
    x = jnp.where(still, jnp.copysign(1, jax.lax.stop_gradient(x)), x)
    return jnp.arctan2(y, x)
