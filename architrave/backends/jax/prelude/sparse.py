"""Products with weights of which only some blocks are stored."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.experimental import sparse

LARGE = 64  # blocks of at least so many numbers are multiplied as matrices, by no more columns of x


def linear_sparse(x: jax.Array, values: jax.Array, columns: jax.Array, starts: jax.Array) -> jax.Array:
    """x [..., I] times the transpose of a weight [O, I] in CSR or BSR."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = sparse_times(values, columns, starts, rows.T)
    return y.T.reshape(*x.shape[:-1], len(y))


def pointwise_sparse(x: jax.Array, values: jax.Array, columns: jax.Array, starts: jax.Array) -> jax.Array:
    """A convolution of x [N, C, *S] whose kernel [O, C] of size 1 is in CSR or BSR."""
    pixels = jnp.moveaxis(x, 1, 0)
    y = sparse_times(values, columns, starts, pixels.reshape(len(pixels), math.prod(pixels.shape[1:])))
    return jnp.moveaxis(y.reshape(len(y), *pixels.shape[1:]), 0, 1)


def sparse_times(values: jax.Array, columns: jax.Array, starts: jax.Array, x: jax.Array) -> jax.Array:
    """A weight [O, I] times x [I, P]."""
    high, wide = values.shape[1:] or (1, 1)
    rows, width = len(starts) - 1, len(x)
    as_blocks = high * wide >= LARGE >= x.shape[1]
    if x.dtype not in (jnp.float32, jnp.float64) or x.size == 0 or values.size == 0 or as_blocks:
        return blocks_times(values.reshape(-1, high, wide), columns, starts, x)
    # What the kernel reads must be there.
    starts, columns = jnp.clip(starts, 0, len(columns)), jnp.clip(columns, 0, width // wide - 1)
    if values.ndim == 3:
        columns, starts = entries_of(columns, starts, high, wide)
        values = values.transpose(1, 0, 2).reshape(-1)
    weight = sparse.BCSR((values, columns, starts), shape=(rows * high, width))
    # The kernel takes longer for one column than for eight.
    y: jax.Array = weight @ (jnp.tile(x, (1, 8)) if x.shape[1] == 1 else x)
    return y[:, : x.shape[1]].reshape(high, rows, x.shape[1]).swapaxes(0, 1).reshape(rows * high, x.shape[1])


def entries_of(columns: jax.Array, starts: jax.Array, high: int, wide: int) -> tuple[jax.Array, jax.Array]:
    """Columns and starts of the single numbers of blocks: of the first row of each block, then of each second one."""
    each = (columns[:, None] * wide + jnp.arange(wide, dtype=columns.dtype)).reshape(-1)
    rows = jnp.arange(high, dtype=starts.dtype)[:, None] * len(columns) + starts[:-1]
    ends = jnp.asarray([high * len(columns)], starts.dtype)
    return jnp.tile(each, high), jnp.concatenate([rows.reshape(-1), ends]) * wide


def blocks_times(values: jax.Array, columns: jax.Array, starts: jax.Array, x: jax.Array) -> jax.Array:
    """A weight of blocks times x [I, P]: each block times those rows of x that it needs, then added up."""
    _, high, wide = values.shape
    needed = x.reshape(len(x) // wide, wide, x.shape[1])[columns]
    products = jnp.einsum("bhw,bwp->bhp", values, needed)
    row = jnp.searchsorted(starts[1:], jnp.arange(len(columns), dtype=starts.dtype), side="right")
    y = jax.ops.segment_sum(products, row, len(starts) - 1, indices_are_sorted=True)
    return y.reshape(y.shape[0] * high, x.shape[1])
