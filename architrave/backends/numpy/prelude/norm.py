"""Normalization and attention, in few passes over memory."""

from __future__ import annotations

import math

import numpy as np


def normalize_channels(
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    eps: float = 1e-5,
) -> np.ndarray:
    """`(x - mean) / sqrt(var + eps) * weight + bias` for the channels of x [N, C, *spatial]."""
    scale = 1 / np.sqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias
    channels = (-1, *(1,) * (x.ndim - 2))
    y = x * scale.reshape(channels)
    y += shift.reshape(channels)
    return y


def normalize_last(
    x: np.ndarray, weight: np.ndarray | None = None, bias: np.ndarray | None = None, eps: float = 1e-5
) -> np.ndarray:
    """x [..., C] with mean 0 and variance 1 along its last axis, then times weight [C] plus bias [C]."""
    y = x - x.mean(axis=-1, keepdims=True)
    y *= 1 / np.sqrt(np.square(y).mean(axis=-1, keepdims=True) + eps)
    if weight is not None:
        y *= weight
    if bias is not None:
        y += bias
    return y


def normalize_rms(x: np.ndarray, weight: np.ndarray | None = None, eps: float = 1e-6) -> np.ndarray:
    """x [..., C] divided by the root mean square of its last axis, then times weight [C]."""
    y = x * (1 / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + eps))
    if weight is not None:
        y *= weight
    return y


def normalize_groups(
    x: np.ndarray, weight: np.ndarray | None = None, bias: np.ndarray | None = None, groups: int = 1, eps: float = 1e-5
) -> np.ndarray:
    """x [N, C, *spatial] with mean 0 and variance 1 in each group of channels, then times weight [C] plus bias [C]."""
    y = normalize_last(x.reshape(len(x), groups, math.prod(x.shape[1:]) // groups), eps=eps).reshape(x.shape)
    channels = (-1, *(1,) * (x.ndim - 2))
    if weight is not None:
        y *= weight.reshape(channels)
    if bias is not None:
        y += bias.reshape(channels)
    return y


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """`exp(x) / sum(exp(x))` along `axis`."""
    y = np.exp(x - x.max(axis=axis, keepdims=True))
    y /= y.sum(axis=axis, keepdims=True)
    return y


def log_softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """`x - log(sum(exp(x)))` along `axis`."""
    y = x - x.max(axis=axis, keepdims=True)
    y -= np.log(np.exp(y).sum(axis=axis, keepdims=True))
    return y


def attend(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    mask: np.ndarray | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> np.ndarray:
    """`softmax(q @ k' * scale + mask) @ v`: q [..., T, D], k [..., S, D], v [..., S, E] -> [..., T, E].

    Truth values of a mask say where a query may look; `causal` lets query t look at keys up to t.
    """
    scores = q * (1 / math.sqrt(q.shape[-1]) if scale is None else scale) @ k.swapaxes(-1, -2)
    keep = np.tri(*scores.shape[-2:]) > 0 if causal else None
    if mask is not None and mask.dtype == bool:
        keep = mask if keep is None else mask & keep
    elif mask is not None:
        scores = scores + mask
    if keep is None:
        return softmax(scores) @ v
    weights = softmax(np.where(keep, scores, -np.inf))
    return np.where(keep.any(axis=-1, keepdims=True), weights, 0) @ v  # who may look nowhere sees zeros
