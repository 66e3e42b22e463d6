"""Formulas of the operators on windows and between cells, one window and one point at a time."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def windows(
    sizes: Sequence[int], kernel: Sequence[int], stride: Any, padding: Any, dilation: Any
) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Which row and column of an unfolded image is which element of it; not those of the padding."""
    rank = len(kernel)
    stride, dilation, padding = stride or (1,) * rank, dilation or (1,) * rank, padding or ((0, 0),) * rank
    starts = [
        range(-before, size + after - d * (k - 1), s)
        for size, k, s, (before, after), d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    for column, start in enumerate(itertools.product(*starts)):
        for row, tap in enumerate(itertools.product(*map(range, kernel))):
            place = tuple(i + t * d for i, t, d in zip(start, tap, dilation, strict=True))
            if all(0 <= p < size for p, size in zip(place, sizes, strict=True)):
                yield row, column, place


def unfold(x: Array, kernel: Any, stride: Any = (), padding: Any = (), dilation: Any = ()) -> Array:
    columns = 1 + max(c for _, c, _ in windows(x.shape[2:], kernel, stride, padding, dilation))
    result = np.zeros((*x.shape[:2], math.prod(kernel), columns))
    for row, column, place in windows(x.shape[2:], kernel, stride, padding, dilation):
        result[:, :, row, column] = x[(slice(None), slice(None), *place)]
    return result.reshape(len(x), x.shape[1] * math.prod(kernel), columns)


def fold(x: Array, size: Any, kernel: Any, stride: Any = (), padding: Any = (), dilation: Any = ()) -> Array:
    channels = x.shape[1] // math.prod(kernel)
    parts = x.reshape(len(x), channels, math.prod(kernel), x.shape[2])
    result = np.zeros((len(x), channels, *size))
    for row, column, place in windows(size, kernel, stride, padding, dilation):
        result[(slice(None), slice(None), *place)] += parts[:, :, row, column]
    return result


def adaptive(choose: Callable[[Array], Any]) -> Callable[[Array, tuple[int, ...]], Array]:
    def pool(x: Array, size: tuple[int, ...]) -> Array:
        lead = x.shape[: x.ndim - len(size)]
        result = np.zeros((*lead, *size))
        for place in np.ndindex(*lead, *size):
            spans = zip(place[len(lead) :], x.shape[len(lead) :], size, strict=True)
            window = [slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in spans]
            result[place] = choose(x[(*place[: len(lead)], *window)])
        return result

    return pool


def keys(t: float, a: float = -0.75) -> float:
    t = abs(t)
    return (a + 2) * t**3 - (a + 3) * t**2 + 1 if t <= 1 else a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def inside(s: float, n: int, padding: str, align: bool) -> float:
    """A position along an axis brought among its `n` cells."""
    if padding == "reflection":
        low, high = (0, n - 1) if align else (-0.5, n - 0.5)
        while high > low and not low <= s <= high:
            s = 2 * low - s if s < low else 2 * high - s
    return min(max(s, 0), n - 1)


def taps(s: float, n: int, mode: str, padding: str, align: bool) -> list[tuple[int, float]]:
    """Cells and weights at a position; cells beyond the edge are zeros, or others in their place."""
    cubic = mode in ("cubic", "bicubic")
    if padding != "zeros" and not cubic:
        s = inside(s, n, padding, align)
    if not math.isfinite(s):
        return [] if math.isinf(s) else [(0, math.nan)]
    if mode == "nearest":
        found = [(round(s), 1.0)]
    elif cubic:
        found = [(math.floor(s) + k, keys(s - math.floor(s) - k)) for k in range(-1, 3)]
    else:
        found = [(math.floor(s), 1 - s % 1), (math.floor(s) + 1, s % 1)]
    if padding != "zeros" and cubic:
        found = [(int(inside(cell, n, padding, align)), weight) for cell, weight in found]
    return [(cell, weight) for cell, weight in found if 0 <= cell < n]


def grid_sample(
    x: Array, grid: Array, mode: str = "linear", padding: str = "zeros", align_corners: bool = False
) -> Array:
    result = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for place in np.ndindex(*grid.shape[:-1]):
        along = []
        for coordinate, n in zip(grid[place][::-1], x.shape[2:], strict=True):
            s = (coordinate + 1) / 2 * (n - 1) if align_corners else ((coordinate + 1) * n - 1) / 2
            along.append(taps(s, n, mode, padding, align_corners))
        for choice in itertools.product(*along):
            cell, weight = tuple(c for c, _ in choice), math.prod(w for _, w in choice)
            result[(place[0], slice(None), *place[1:])] += weight * x[(place[0], slice(None), *cell)]
    return result


def affine_grid(theta: Array, size: tuple[int, ...], align_corners: bool = False) -> Array:
    result = np.zeros((len(theta), *size, len(size)))
    for place in np.ndindex(*size):
        cells = zip(place[::-1], size[::-1], strict=True)
        point = [(2 * i - n + 1) / (max(n - 1, 1) if align_corners else n) for i, n in cells]
        result[(slice(None), *place)] = theta[:, :, :-1] @ point + theta[:, :, -1]
    return result


IMAGES: dict[str, Callable[..., Any]] = {
    "unfold": unfold,
    "fold": fold,
    "adaptive_avg_pool": adaptive(np.mean),
    "adaptive_max_pool": adaptive(np.max),
    "grid_sample": grid_sample,
    "affine_grid": affine_grid,
}
"""Composites by other formulas."""
