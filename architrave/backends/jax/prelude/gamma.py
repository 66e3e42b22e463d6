"""Functions of the gamma function."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import jax
import jax.numpy as jnp


def digamma(x: jax.Array) -> jax.Array:
    """`jax.lax.digamma`, whose own slope is wrong below 0: there by reflection, `digamma(1 - x) - pi / tan(pi * x)`."""
    below = x <= 0
    y = jax.lax.digamma(jnp.where(below, 1 - x, x))
    angle = jnp.pi * jnp.where(below, x - jnp.round(x), 0.5)
    return jnp.where(below, y - jnp.pi / jnp.tan(angle), y)
