"""Random bits that depend on a key and a counter alone, so that every backend draws the same.

Threefry-2x32 with 20 rounds: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
Programs carry copies of these functions, which therefore need NumPy and the standard library alone.
"""

# Written as the programs show it: arrays without type arguments.
# mypy: disable-error-code="type-arg"
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import hashlib

import numpy as np


def threefry(key: np.ndarray, counter: np.ndarray) -> np.ndarray:
    """64 random bits for each counter: uint32 key [2, ...] and counter [2, ...], which broadcast, in; as many out."""
    keys = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for turn in range(20):
        rotation = (13, 15, 26, 6, 17, 29, 16, 24)[turn % 8]
        x = x + y
        y = ((y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))) ^ x
        if turn % 4 == 3:
            again = turn // 4 + 1
            x = x + keys[again % 3]
            y = y + keys[(again + 1) % 3] + np.uint32(again)
    return np.stack([x, y])


def stream_key(seed: int, path: str) -> np.ndarray:
    """The key [2, 1] of one weight's own stream: the seed's 64 bits encrypt the start of the SHA-256 of its path."""
    start = np.frombuffer(hashlib.sha256(path.encode()).digest()[:8], "<u4").astype(np.uint32)
    words = np.array([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF], np.uint32)
    return threefry(words[:, None], start[:, None])
