"""Integers that stand for evenly spaced numbers."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import jax
import jax.numpy as jnp


def quantize(
    x: jax.Array,
    scale: jax.Array,
    zero: jax.Array | int = 0,
    *,
    lo: int,
    hi: int,
    dtype: type,
) -> jax.Array:
    """The steps of scale that x is, half to even, plus zero. NaN is none.

    Reciprocal and product are float32, so that every backend rounds alike.
    """
    steps = jnp.rint(x.astype(jnp.float32) * (jnp.float32(1) / scale.astype(jnp.float32)))
    steps = jnp.where(jnp.isnan(steps), 0, steps) + jnp.asarray(zero, jnp.float32)
    return jnp.clip(steps, lo, hi).astype(dtype)


def fake_quantize(
    x: jax.Array,
    scale: jax.Array,
    zero: jax.Array | int = 0,
    *,
    lo: int,
    hi: int,
    gain: float = 1.0,
    clipped_only: bool = False,
) -> jax.Array:
    """What is left of x when it is held in integers from lo to hi; NaN stays.

    The gradient by x goes straight through between the bounds; that by scale is what rounding adds to a step, times
    gain. With clipped_only it is 0 between the bounds.
    """
    steps = quantize(x, scale, zero, lo=-(2**23), hi=2**23 - 1, dtype=jnp.int32)
    inside = (steps >= lo) & (steps <= hi)
    fixed = jax.lax.stop_gradient(scale)
    if clipped_only:
        scale = jnp.where(inside, fixed, scale)
    if gain != 1:
        scale = fixed + (scale - fixed) * gain
    y = (jnp.clip(steps, lo, hi) - zero).astype(x.dtype) * scale.astype(x.dtype)
    exact = x if clipped_only else x - jax.lax.stop_gradient(x / fixed) * scale
    through = jnp.where(inside, exact, 0)
    return y + (through - jax.lax.stop_gradient(through))
