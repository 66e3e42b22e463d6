"""Normalization."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import jax
import jax.numpy as jnp


def batch_norm(
    x: jax.Array,
    mean: jax.Array,
    var: jax.Array,
    weight: jax.Array | None = None,
    bias: jax.Array | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """`(x - mean) / sqrt(var + eps) * weight + bias` for the channels of x [N, C, *spatial]."""
    channels = (-1, *(1,) * (x.ndim - 2))
    scale = jax.lax.rsqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    y = (x - mean.reshape(channels)) * scale.reshape(channels)
    return y if bias is None else y + bias.reshape(channels)


def layer_norm(
    x: jax.Array, weight: jax.Array | None = None, bias: jax.Array | None = None, eps: float = 1e-5
) -> jax.Array:
    """x [..., C] with mean 0 and variance 1 along its last axis, then times weight [C] plus bias [C]."""
    y = x - x.mean(axis=-1, keepdims=True)
    y = y * jax.lax.rsqrt(jnp.square(y).mean(axis=-1, keepdims=True) + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def rms_norm(x: jax.Array, weight: jax.Array | None = None, eps: float = 1e-6) -> jax.Array:
    """x [..., C] divided by the root mean square of its last axis, then times weight [C]."""
    y = x * jax.lax.rsqrt(jnp.square(x).mean(axis=-1, keepdims=True) + eps)
    return y if weight is None else y * weight


def group_norm(
    x: jax.Array, weight: jax.Array | None = None, bias: jax.Array | None = None, groups: int = 1, eps: float = 1e-5
) -> jax.Array:
    """x [N, C, *spatial] with mean 0 and variance 1 in each group of channels, then times weight [C] plus bias [C]."""
    y = layer_norm(x.reshape(x.shape[0], groups, -1), eps=eps).reshape(x.shape)
    channels = (-1, *(1,) * (x.ndim - 2))
    if weight is not None:
        y = y * weight.reshape(channels)
    return y if bias is None else y + bias.reshape(channels)
