"""Linear layers whose weight is held in few bits."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import jax
import jax.numpy as jnp

from architrave.backends.jax.prelude.packing import unpack

WEIGHTS_AT_ONCE = 1 << 20  # so many weights are floats at a time


def linear_weight_only(
    x: jax.Array,
    codes: jax.Array,
    scale: jax.Array,
    zero: jax.Array | int = 0,
    *,
    bits: int,
    signed: bool,
) -> jax.Array:
    """x [..., I] times the transpose of a weight [O, I] held as codes, scale [O, G] and zero [O, G].

    The weight is never there as a whole, but some rows at a time.
    """

    def output(row: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        return x @ decoded(*row, bits, signed)

    rows = codes, scale, jnp.broadcast_to(jnp.asarray(zero, jnp.int32), scale.shape)
    return jnp.moveaxis(jax.lax.map(output, rows, batch_size=max(WEIGHTS_AT_ONCE // max(x.shape[-1], 1), 1)), 0, -1)


def decoded(codes: jax.Array, scale: jax.Array, zero: jax.Array, bits: int, signed: bool) -> jax.Array:
    """The row [I] of a weight that codes stand for, by scale [G] and zero [G]."""
    steps = codes if bits == 8 else unpack(codes, bits, jnp.int8 if signed else jnp.uint8)
    grouped = steps.reshape(len(scale), len(steps) // len(scale)).astype(jnp.int32) - zero[:, None]
    return (grouped.astype(scale.dtype) * scale[:, None]).reshape(steps.shape)
