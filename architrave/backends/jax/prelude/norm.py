"""Normalization."""

# pyright: reportUnknownMemberType=false

from __future__ import annotations

import math

import jax
import jax.numpy as jnp


def normalize_channels(
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


def normalize_last(
    x: jax.Array, weight: jax.Array | None = None, bias: jax.Array | None = None, eps: float = 1e-5
) -> jax.Array:
    """x [..., C] with mean 0 and variance 1 along its last axis, then times weight [C] plus bias [C]."""
    y = x - x.mean(axis=-1, keepdims=True)
    y = y * jax.lax.rsqrt(jnp.square(y).mean(axis=-1, keepdims=True) + eps)
    if weight is not None:
        y = y * weight
    return y if bias is None else y + bias


def normalize_rms(x: jax.Array, weight: jax.Array | None = None, eps: float = 1e-6) -> jax.Array:
    """x [..., C] divided by the root mean square of its last axis, then times weight [C]."""
    y = x * jax.lax.rsqrt(jnp.square(x).mean(axis=-1, keepdims=True) + eps)
    return y if weight is None else y * weight


def normalize_groups(
    x: jax.Array, weight: jax.Array | None = None, bias: jax.Array | None = None, groups: int = 1, eps: float = 1e-5
) -> jax.Array:
    """x [N, C, *spatial] with mean 0 and variance 1 in each group of channels, then times weight [C] plus bias [C]."""
    y = normalize_last(x.reshape(x.shape[0], groups, math.prod(x.shape[1:]) // groups), eps=eps).reshape(x.shape)
    channels = (-1, *(1,) * (x.ndim - 2))
    if weight is not None:
        y = y * weight.reshape(channels)
    return y if bias is None else y + bias.reshape(channels)


def attend(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> jax.Array:
    """`softmax(q @ k' * scale + mask) @ v`: q [..., T, D], k [..., S, D], v [..., S, E] -> [..., T, E].

    Truth values of a mask say where a query may look; `causal` lets query t look at keys up to t.
    """
    scores = q * (1 / math.sqrt(q.shape[-1]) if scale is None else scale) @ k.swapaxes(-1, -2)
    keep = jnp.tri(scores.shape[-2], scores.shape[-1], dtype=bool) if causal else None
    if mask is not None and mask.dtype == bool:
        keep = mask if keep is None else mask & keep
    elif mask is not None:
        scores = scores + mask
    if keep is None:
        return jax.nn.softmax(scores) @ v
    # Who may look nowhere sees zeros; its scores are finite, so that gradients are.
    sees = keep.any(axis=-1, keepdims=True)
    scores = jnp.where(sees, jnp.where(keep, scores, -jnp.inf), 0)
    return jnp.where(sees, jax.nn.softmax(scores), 0) @ v
