"""Random numbers by JAX's own generator."""

from __future__ import annotations

import hashlib

import jax
import jax.numpy as jnp


def key_of(key: jax.Array, path: str) -> jax.Array:
    """A key of JAX, of the kind that `jax_default_prng_impl` names, for the run's key and a place in the network."""
    place = int.from_bytes(hashlib.sha256(path.encode()).digest()[:4], "little")
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(key[0]), key[1]), place)


def draw_bits(key: jax.Array, path: str, shape: tuple[int, ...]) -> jax.Array:
    """32 random bits in each element."""
    return jax.random.bits(key_of(key, path), shape, jnp.uint32)


def draw_uniform(key: jax.Array, path: str, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """Numbers in [0, 1)."""
    return jax.random.uniform(key_of(key, path), shape, dtype)


def draw_normal(key: jax.Array, path: str, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    """Numbers with mean 0 and variance 1."""
    return jax.random.normal(key_of(key, path), shape, dtype)


def draw_bernoulli(key: jax.Array, path: str, p: float, shape: tuple[int, ...]) -> jax.Array:
    """True with probability p."""
    return jax.random.bernoulli(key_of(key, path), p, shape)
