"""Integers where XLA leaves open what comes out."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def floor_divide(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a // b` of integers, 0 where b is 0."""
    return jnp.where(b == 0, 0, a // jnp.where(b == 0, 1, b))


def integer_power(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a ** b` of integers; with a negative b the inverse without its fraction: 0, but of 1 and -1 one of them."""
    y = a ** jnp.where(b < 0, b & 1, b)
    return jnp.where((b < 0) & (a != 1) & (a != -1), 0, y)
