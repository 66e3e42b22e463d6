"""Random numbers by a counter-based generator: the same bits on every backend."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import hashlib
import math

import jax
import jax.numpy as jnp


def random_bits(key: jax.Array, path: str, shape: tuple[int, ...]) -> jax.Array:
    """32 random bits in each element: the numbers 0, 1, ... encrypted under a key made of the run's key and `path`."""
    count = math.prod(shape)
    digest = hashlib.sha256(path.encode()).digest()
    place = jnp.array([int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")], jnp.uint32)
    number = jnp.arange((count + 1) // 2, dtype=jnp.uint32)
    bits = threefry_2x32(threefry_2x32(key[:, None], place[:, None]), jnp.stack([number, jnp.zeros_like(number)]))
    return bits.T.reshape(-1)[:count].reshape(shape)


def random_bernoulli(key: jax.Array, path: str, p: float, shape: tuple[int, ...]) -> jax.Array:
    """True with probability p."""
    return random_bits(key, path, shape) >> 8 < math.ceil(p * 2**24)


def threefry_2x32(key: jax.Array, counter: jax.Array) -> jax.Array:
    """64 random bits for each counter: key [2, ...] and counter [2, ...] of uint32, which broadcast, in; as many out.

    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011): Threefry-2x32 with 20 rounds.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for turn in range(20):
        rotation = (13, 15, 26, 6, 17, 29, 16, 24)[turn % 8]
        x = x + y
        y = ((y << rotation) | (y >> (32 - rotation))) ^ x
        if turn % 4 == 3:
            again = turn // 4 + 1
            x = x + keys[again % 3]
            y = y + keys[(again + 1) % 3] + jnp.uint32(again)
    return jnp.stack([x, y])
