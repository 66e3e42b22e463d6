"""From sums of integers back to few bits, where no integer is wider than 32."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

HALF = np.uint32(2**31)
"""The highest of 32 bits."""
MOST = np.uint32(2**30)
"""Beyond what `requantize` gives, and a zero point more or less does not change that."""


def requantize(
    acc: jax.Array,
    multiplier: jax.Array,
    shift: jax.Array,
    zero: jax.Array | int = 0,
    *,
    lo: int,
    hi: int,
    dtype: type,
) -> jax.Array:
    """`acc * multiplier / 2**shift`, half to even, plus zero: from lo to hi."""
    high, low = wide_product(jnp.abs(acc).astype(jnp.uint32), multiplier.astype(jnp.uint32))
    size = rounded_shift(high, low, shift.astype(jnp.uint32)).astype(jnp.int32)
    return jnp.clip(jnp.where(acc < 0, -size, size) + zero, lo, hi).astype(dtype)


def wide_product(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The upper and the lower 32 bits of a product of uint32, by products of 16 bits."""
    a0, a1, b0, b1 = a & 0xFFFF, a >> 16, b & 0xFFFF, b >> 16
    low, cross, other = a0 * b0, a0 * b1, a1 * b0
    middle = (low >> 16) + (cross & 0xFFFF) + (other & 0xFFFF)
    high = a1 * b1 + (cross >> 16) + (other >> 16) + (middle >> 16)
    return high, (middle << 16) | (low & 0xFFFF)


def rounded_shift(high: jax.Array, low: jax.Array, shift: jax.Array) -> jax.Array:
    """The 64 bits of high and low, as uint32, moved right by 0 to 62, half to even; 2**30 or more for all beyond."""
    beyond, by = shift >= 32, shift & 31
    # Three words, the last of which lies behind the point, are moved by less than 32.
    over, whole, part = jnp.where(beyond, 0, high), jnp.where(beyond, high, low), jnp.where(beyond, low, 0)
    fraction = spilled(whole, by) | (part >> by)
    whole = jnp.where(over >> by != 0, MOST, spilled(over, by) | (whole >> by))
    even = (spilled(part, by) == 0) & (whole & 1 == 0)
    up = (fraction > HALF) | ((fraction == HALF) & ~even)
    return jnp.minimum(whole, MOST) + up


def spilled(word: jax.Array, by: jax.Array) -> jax.Array:
    """What leaves 32 bits that are moved right by less than 32, in the upper bits of a word."""
    return word << 1 << 31 - by
