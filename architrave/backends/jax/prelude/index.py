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
    """The cells of x that `index` names along `axis`; along the others it may be shorter. Clamps indices."""
    rest = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(index.shape))
    return jnp.take_along_axis(x[rest], jnp.clip(index, 0, max(x.shape[axis] - 1, 0)), axis)


def scatter_add(x: jax.Array, index: jax.Array, source: jax.Array, axis: int) -> jax.Array:
    """x with the cells of source added where `index` says along `axis`, without those outside: undoes `gather`."""
    places = list(jnp.indices(index.shape, sparse=True))
    places[axis] = jnp.where(index < 0, x.shape[axis], index)  # a negative index would count from the end
    return x.at[tuple(places)].add(source, mode="drop")


def sort_down(x: jax.Array, axis: int) -> jax.Array:
    """The elements from large to small, NaN first. Equal ones keep their order, and so do their gradients."""
    return jnp.take_along_axis(x, jnp.argsort(x, axis=axis, descending=True), axis=axis)


def running_max(x: jax.Array, axis: int) -> jax.Array:
    """The largest element so far along `axis`; of equals the first gets the gradient."""
    y = lax.cummax(lax.stop_gradient(x), axis)
    before = jnp.roll(y, 1, axis)
    record = (x > before) | (jnp.isnan(x) & ~jnp.isnan(before))
    place = jnp.where(record, jnp.indices(x.shape, sparse=True)[axis], 0)
    return jnp.take_along_axis(x, lax.cummax(place, axis), axis)
