"""Nested dicts of arrays."""

# Trees are dicts of anything.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def copied(tree: Any) -> Any:
    """New dicts with the same arrays."""
    return {key: copied(tree[key]) for key in tree} if isinstance(tree, dict) else tree


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": x}` as `{"a": {"b": x}}`."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *inner, last = path.split(".")
        place = tree
        for segment in inner:
            place = place.setdefault(segment, {})
        place[last] = value
    return tree


def stored(seed: int, path: str, shape: Sequence[int], dtype: np.dtype, data: str) -> np.ndarray:
    """What the compiler computed: float64 in base 64."""
    return np.frombuffer(base64.b64decode(data), "<f8").reshape(shape).astype(dtype)
