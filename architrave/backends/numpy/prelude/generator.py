"""Random numbers by NumPy's own generator."""

from __future__ import annotations

import hashlib

import numpy as np


def generator_of(key: np.ndarray, path: str) -> np.random.Generator:
    """NumPy's generator, seeded with the run's key and a place in the network."""
    place = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "little")
    return np.random.default_rng([*key.tolist(), place])


def draw_bits(key: np.ndarray, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """32 random bits in each element."""
    return generator_of(key, path).integers(0, 2**32, shape, np.uint32)


def draw_uniform(key: np.ndarray, path: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Numbers in [0, 1)."""
    exact = np.float64 if dtype == np.float64 else np.float32
    return generator_of(key, path).random(shape, exact).astype(dtype, copy=False)


def draw_normal(key: np.ndarray, path: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Numbers with mean 0 and variance 1."""
    exact = np.float64 if dtype == np.float64 else np.float32
    return generator_of(key, path).standard_normal(shape, exact).astype(dtype, copy=False)


def draw_bernoulli(key: np.ndarray, path: str, p: float, shape: tuple[int, ...]) -> np.ndarray:
    """True with probability p."""
    return generator_of(key, path).random(shape, np.float32) < p
