"""Fourier transforms by their definition: products with matrices of powers of a root of one."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ir.apply import Array

SCALE = {"backward": (0, 1), "ortho": (0.5, 0.5), "forward": (1, 0)}
"""By which power of `n` a transform and its inverse are divided."""


def resized(x: Array, n: int, axis: int) -> Array:
    """The first n elements along an axis, with zeros after the last."""
    x = np.moveaxis(x, axis, -1)
    longer = np.concatenate([x, np.zeros((*x.shape[:-1], n), x.dtype)], -1)
    return longer[..., :n]


def turned(x: Array, n: int | None, axis: int, norm: str, inverse: bool) -> Array:
    n = n or x.shape[axis]
    places = np.outer(np.arange(n), np.arange(n))
    matrix = np.exp((2j if inverse else -2j) * np.pi * places / n) / n ** SCALE[norm][inverse]
    return np.moveaxis(resized(x, n, axis) @ matrix, -1, axis)


def fft(x: Array, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    return turned(x, n, axis, norm, inverse=False)


def ifft(x: Array, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    return turned(x, n, axis, norm, inverse=True)


def rfft(x: Array, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    n = n or x.shape[axis]
    return fft(x, n, axis, norm).take(range(n // 2 + 1), axis)


def irfft(x: Array, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """A cosine and a sine for each frequency; those between the ends stand for two."""
    n = n or 2 * (x.shape[axis] - 1)
    x = resized(x, n // 2 + 1, axis)
    k = np.arange(n // 2 + 1)[:, None]
    waves = np.where((k == 0) | (2 * k == n), 1, 2) * np.exp(2j * np.pi * k * np.arange(n) / n)
    y = x.real @ waves.real - x.imag @ np.where((k == 0) | (2 * k == n), 0, waves.imag)
    return np.moveaxis(y / n ** SCALE[norm][1], -1, axis)


def plane(first: Callable[..., Array], second: Callable[..., Array], order: tuple[int, int]) -> Callable[..., Array]:
    """One transform along an axis, then another along the other."""

    def transform(x: Array, sizes: Any = None, axes: tuple[int, int] = (-2, -1), norm: str = "backward") -> Array:
        for function, i in zip((first, second), order, strict=True):
            x = function(x, None if sizes is None else sizes[i], axes[i], norm)
        return x

    return transform


def dct(x: Array, axis: int = -1, ortho: bool = False) -> Array:
    n = x.shape[axis]
    k = np.arange(n)
    matrix = 2 * np.cos(np.pi * np.outer(2 * k + 1, k) / (2 * n))
    if ortho:
        matrix = matrix * np.where(k == 0, np.sqrt(1 / (4 * n)), np.sqrt(1 / (2 * n)))
    return np.moveaxis(np.moveaxis(x, axis, -1) @ matrix, -1, axis)


TRANSFORMS: dict[str, Callable[..., Any]] = {
    "ifft": ifft,
    "rfft": rfft,
    "irfft": irfft,
    "fft2": plane(fft, fft, (0, 1)),
    "ifft2": plane(ifft, ifft, (0, 1)),
    "rfft2": plane(rfft, fft, (1, 0)),
    "irfft2": plane(ifft, irfft, (0, 1)),
    "dct": dct,
}
"""Composites by other formulas."""
