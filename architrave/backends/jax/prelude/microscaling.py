"""Groups of numbers that share a power of two."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from architrave.backends.jax.prelude.mantissa import power_of_two
from architrave.backends.jax.prelude.minifloat import round_minifloat


def round_mx(
    x: jax.Array, axis: int, group: int, exponent: int, mantissa: int, least: float, largest: float
) -> jax.Array:
    """x as multiples of a power of two that each group along the axis shares; that of its largest is exponent."""
    rows = jnp.moveaxis(x, axis, -1)
    groups = rows.reshape(*rows.shape[:-1], rows.shape[-1] // group, group).astype(jnp.float32)
    powers = power_of_two(jnp.abs(groups).max(-1, keepdims=True), 0)
    scale = jax.lax.stop_gradient(jnp.maximum(powers * 2.0**-exponent, 2.0**-110))
    y = round_minifloat(groups / scale, mantissa, least, largest, largest) * scale
    return jnp.moveaxis(y.reshape(rows.shape), -1, axis).astype(x.dtype)
