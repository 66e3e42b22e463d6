"""Indexing and sorting. An index beyond the end is clamped, as XLA does."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax


def topk(x: jax.Array, k: int, axis: int = -1, largest: bool = True) -> tuple[jax.Array, jax.Array]:
    """The k largest (smallest) values along `axis`, in order, and where they stand; of equal values the first."""
    order = jnp.argsort(x, axis=axis, stable=True, descending=largest)
    index = lax.slice_in_dim(order, 0, k, axis=axis)
    return jnp.take_along_axis(x, index, axis), index


def gather(x: jax.Array, index: jax.Array, axis: int) -> jax.Array:
    """The cells of x that `index` names along `axis`; the other axes of index may be shorter than those of x."""
    rest = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(index.shape))
    return jnp.take_along_axis(x[rest], jnp.clip(index, 0, x.shape[axis] - 1), axis)


def scatter_add(x: jax.Array, index: jax.Array, source: jax.Array, axis: int) -> jax.Array:
    """x with the cells of source added where `index` says along `axis`: the transpose of `gather`."""
    places = jnp.indices(index.shape, sparse=True)
    cells = source[tuple(slice(n) for n in index.shape)]
    return x.at[(*places[:axis], index, *places[axis + 1 :])].add(cells)
