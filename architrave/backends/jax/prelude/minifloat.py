"""Floats of four to eight bits."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import jax
import jax.numpy as jnp

from architrave.backends.jax.prelude.mantissa import power_of_two, straight_through


def round_minifloat(x: jax.Array, mantissa: int, least: float, largest: float, beyond: float) -> jax.Array:
    """The nearest numbers of a format, half to even; beyond stands for what is larger than the largest.

    Between two powers of two from the least on, numbers are evenly spaced. The gradient is that of
    x up to the largest.
    """
    size = jnp.minimum(jnp.abs(x.astype(jnp.float32)), 2 * largest)
    step = jnp.maximum(power_of_two(size, 0), least) * 2.0**-mantissa
    y = jnp.rint(size / step) * step
    y = jnp.copysign(jnp.where(y > largest, beyond, y), x).astype(x.dtype)
    return straight_through(y, x, jnp.abs(x) <= largest)


def to_minifloat(x: jax.Array, mantissa: int, least: int, top: int, sign: int, nan: int) -> jax.Array:
    """The codes of the nearest numbers, half to even: those up to top ascend. 2 ** least is the least normal number."""
    x = x.astype(jnp.float32)
    size = jnp.fmin(jnp.abs(x), 2.0**17)  # larger than any number
    power = jnp.maximum(power_of_two(size, 0), 2.0**least)
    steps = jnp.rint(size / power * 2.0**mantissa).astype(jnp.int32)
    code = steps + ((power.view(jnp.int32) >> 23) - (127 + least) << mantissa)
    code = jnp.minimum(code, top) | jnp.signbit(x) * sign
    return jnp.where(jnp.isnan(x), nan, code).astype(jnp.uint8)


def from_minifloat(
    codes: jax.Array, mantissa: int, least: int, top: int, sign: int, beyond: float | None, dtype: type
) -> jax.Array:
    """The numbers that codes stand for; beyond is what the one after top does."""
    size = (codes & sign - 1).astype(jnp.int32)
    power = jnp.maximum(size >> mantissa, 1)
    steps = size - (power - 1 << mantissa)
    y = steps * (power + (126 + least - mantissa) << 23).view(jnp.float32)
    if beyond is not None:
        y = jnp.where(size > top, jnp.where(size == top + 1, beyond, jnp.nan), y)
    return jnp.where((codes & sign) != 0, -y, y).astype(dtype)
