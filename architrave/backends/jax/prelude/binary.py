"""Numbers of one bit."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def binarize(x: jax.Array, surrogate: jax.Array | None = None) -> jax.Array:
    """1 where x is at least 0, else -1.

    The gradient goes to the surrogate; without one it goes straight through from -1 to 1.
    """
    if surrogate is None:
        surrogate = jnp.where(jnp.abs(x) <= 1, x, 0)
    bits = jnp.where(x >= 0, 1, -1).astype(x.dtype)
    return bits + (surrogate - jax.lax.stop_gradient(surrogate))
