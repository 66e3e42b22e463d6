"""Masks from scores: how many numbers stay, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.source import error
from architrave.ir.types import shape_text
from architrave.sparsity.masks.density import GLOBAL, UNIFORM, counts, total
from architrave.sparsity.masks.masked import Layer
from architrave.sparsity.masks.pattern import NM, Pattern, Unstructured

Scores = Mapping[str, Array]
"""By the path of each weight a number for each of its own: the higher, the rather it stays."""


def select(
    layers: Sequence[Layer],
    scores: Scores,
    density: float,
    pattern: Pattern | NM | None = None,
    distribution: str = UNIFORM,
) -> dict[str, Array]:
    """Masks that keep the highest scores; of equal ones those that come first.

    `distribution` says how many each weight keeps (`density.counts`); with `global` the scores of all compete. Patterns
    N:M have their own. Raises E924 for scores that do not fit, E925, E926, and E927 for NaN.
    """
    check_scores(layers, scores)
    pattern = pattern or Unstructured()
    if (unfit := next(filter(None, (pattern.refusal(layer) for layer in layers)), None)) is not None:
        raise error("E926", f"a weight cannot be made sparse as `{pattern}`: {unfit}")
    if isinstance(pattern, NM):
        step = pattern.at(density)
        return {layer.path: step.mask(layer, scores[layer.path]) for layer in layers}
    units = {layer.path: pattern.units(layer, np.asarray(scores[layer.path], np.float64)) for layer in layers}
    kept = _global(units, density) if distribution == GLOBAL else _each(layers, units, density, distribution)
    return {layer.path: pattern.spread(layer, kept[layer.path]) for layer in layers}


def largest(scores: Array, count: int) -> Array:
    """Where the `count` highest scores stand, as a mask of their shape; of equal ones the first."""
    flat = scores.ravel()
    if count <= 0:
        return np.zeros(scores.shape, np.bool_)
    least = np.partition(flat, flat.size - count)[flat.size - count]
    found: Array = flat > least
    found[np.flatnonzero(flat == least)[: count - np.count_nonzero(found)]] = True
    return found.reshape(scores.shape)


def check_scores(layers: Sequence[Layer], scores: Scores) -> None:
    """Raises E924 for scores that are missing or misshapen, E927 for some that are not numbers."""
    for layer in layers:
        found = scores.get(layer.path)
        if found is None or np.shape(found) != layer.shape:
            is_what = "missing" if found is None else shape_text(np.shape(found))
            raise error("E924", f"the scores of `{layer.path}` are {is_what}, not {shape_text(layer.shape)}")
        if np.isnan(found).any():
            hint = "did the network's training diverge, or is one of its gradients not a number?"
            raise error("E927", f"a score of `{layer.path}` is not a number (NaN)", hint=hint)


def _global(units: Mapping[str, Array], density: float) -> dict[str, Array]:
    flat = np.concatenate([found.ravel() for found in units.values()])
    kept = largest(flat, total(flat.size, density))
    ends = np.cumsum([found.size for found in units.values()])
    parts = np.split(kept, ends[:-1])
    return {path: part.reshape(units[path].shape) for path, part in zip(units, parts, strict=True)}


def _each(layers: Sequence[Layer], units: Mapping[str, Array], density: float, distribution: str) -> dict[str, Array]:
    sizes = {path: found.size for path, found in units.items()}
    numbers = counts(layers, density, distribution, sizes)
    return {path: largest(found, numbers[path]) for path, found in units.items()}
