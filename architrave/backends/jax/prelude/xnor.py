"""Contractions of signs, -1 and 1, in float32, which holds their sums: XLA is slow with bytes, and with bits."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from architrave.backends.jax.prelude.conv import convolve
from architrave.backends.jax.prelude.packing import unpack


def linear_binary(x: jax.Array, weight: jax.Array) -> jax.Array:
    """`x @ weight.T` of signs: x [..., I] is true for 1 and false for -1, weight [O, I / 8] has a bit for each sign."""
    return (signs(x) @ unpacked_signs(weight, x.shape[-1]).T).astype(jnp.int32)


def convolve_binary(x: jax.Array, weight: jax.Array, *, groups: int = 1, **window: Any) -> jax.Array:
    """Cross-correlation of signs: x [N, C, *spatial] is true for 1 and false for -1.

    weight [out, *kernel, C / groups / 8] has a bit for each sign. Padding is neither sign: it adds nothing.
    """
    kernel = jnp.moveaxis(unpacked_signs(weight, x.shape[1] // groups), -1, 1)
    return convolve(signs(x), kernel, groups=groups, **window).astype(jnp.int32)


def unpacked_signs(weight: jax.Array, count: int) -> jax.Array:
    """The first signs along the last axis of bytes."""
    return signs(unpack(weight, 1, jnp.uint8)[..., :count])


def signs(bits: jax.Array) -> jax.Array:
    """1 where there is a bit, else -1."""
    return 2 * bits.astype(jnp.float32) - 1
