"""Random numbers by a counter-based generator: the same bits on every backend."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from architrave.ir.threefry import threefry


def random_bits(key: np.ndarray, path: str, shape: tuple[int, ...]) -> np.ndarray:
    """32 random bits in each element: the numbers 0, 1, ... encrypted under a key made of the run's key and `path`."""
    count = math.prod(shape)
    place = np.frombuffer(hashlib.sha256(path.encode()).digest()[:8], "<u4").astype(np.uint32)
    number = np.arange((count + 1) // 2, dtype=np.uint64)
    words = np.stack([number & 0xFFFFFFFF, number >> 32]).astype(np.uint32)
    bits = threefry(threefry(key[:, None], place[:, None]), words)
    return bits.T.reshape(-1)[:count].reshape(shape)


def random_bernoulli(key: np.ndarray, path: str, p: float, shape: tuple[int, ...]) -> np.ndarray:
    """True with probability p."""
    return random_bits(key, path, shape) >> 8 < math.ceil(p * 2**24)
