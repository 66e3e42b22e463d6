"""The bits of integers, one at a time."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ir.apply import Array


def written(x: Array) -> Array:
    """Each number as the text of its bits."""
    width = 8 * x.itemsize
    return np.vectorize(lambda n: format(int(n) % 2**width, f"0{width}b"), otypes=[object])(x)


def read(texts: Array, dtype: np.dtype[Any]) -> Array:
    width = 8 * dtype.itemsize
    signed = dtype.kind == "i"
    return np.vectorize(lambda t: int(t, 2) - 2**width * (signed and t[0] == "1"), otypes=[object])(texts).astype(dtype)


def of_two(function: Callable[[str, str], str]) -> Callable[[Array, Array], Array]:
    def applied(a: Array, b: Array) -> Array:
        dtype = np.result_type(a, b)
        pairs = np.vectorize(lambda s, t: "".join(map(function, s, t)), otypes=[object])(
            written(a.astype(dtype)), written(b.astype(dtype))
        )
        return read(pairs, dtype)

    return applied


def shifted(x: Array, count: Array, fill: Callable[[str], str], left: bool) -> Array:
    def move(text: str, by: int) -> str:
        by = by if 0 <= by < len(text) else len(text)
        return text[by:] + "0" * by if left else fill(text) * by + text[: len(text) - by]

    return read(np.vectorize(move, otypes=[object])(written(x), count), x.dtype)


def shift_right(x: Array, count: Array, logical: bool = False) -> Array:
    signed = x.dtype.kind == "i" and not logical
    return shifted(x, count, lambda text: text[0] if signed else "0", left=False)


def bitwise_not(x: Array) -> Array:
    return read(np.vectorize(lambda s: s.translate({48: 49, 49: 48}), otypes=[object])(written(x)), x.dtype)


BITS: dict[str, Callable[..., Any]] = {
    "bitwise_and": of_two(lambda s, t: str(int(s == t == "1"))),
    "bitwise_or": of_two(lambda s, t: max(s, t)),
    "bitwise_xor": of_two(lambda s, t: str(int(s != t))),
    "bitwise_not": bitwise_not,
    "shift_left": lambda x, count: shifted(x, count, lambda _: "0", left=True),
    "shift_right": shift_right,
    "popcount": lambda x: np.vectorize(lambda s: s.count("1"), otypes=[np.int64])(written(x)),
    "clz": lambda x: np.vectorize(lambda s: (s + "1").index("1"), otypes=[np.int64])(written(x)),
}
"""Operators by other formulas."""
