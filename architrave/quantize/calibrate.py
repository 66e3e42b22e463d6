"""Calibration: the scales and zero points of a rounded network, from what it computes on examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.source import error
from architrave.passes.quantize.rounding.sites import Site, activation_sites, weight_sites
from architrave.quantize.observers import Integers, MinMax, Observer
from architrave.quantize.unrounded import unrounded
from architrave.record.histogram import Histogram, rows
from architrave.record.recorder import Recorder, silent

_SHARES = tuple(s / 64 for s in range(64, 15, -1))
_HALVES = (1.0, 0.5, 0.25)
"""Of the scale that cuts nothing off: what the search for the least squared error tries, and among powers of two."""


@dataclass(frozen=True)
class Seen:
    """What calibration saw of the operand of one quantizer: a histogram for each element of its scale."""

    site: Site
    histograms: tuple[Histogram, ...]


def observe(
    graph: Graph,
    weights: Mapping[str, Any],
    batches: Iterable[Sequence[Any]],
    *,
    backend: str = "torch",
    progress: Callable[[int], object] = silent,
) -> list[Seen]:
    """What the quantized activations of a network are on batches of examples while nothing is rounded.

    `graph` is what the pass `quantize` made. Only one batch of activations is in memory at a time. Raises E911 for a
    NaN or an infinity, saying where, E912 where there are no batches.
    """
    sites = activation_sites(graph)
    if not sites:
        return []
    plain, there = unrounded(graph)
    # What several quantizers round, and share their scales' shape in, is watched once.
    keys = {site: (there[site.value], site.scale_shape) for site in sites}
    names = {key: str(i) for i, key in enumerate(dict.fromkeys(keys.values()))}
    found = {key: tuple(Histogram() for _ in range(math.prod(key[1]))) for key in names}
    first = {key: site for site, key in reversed(keys.items())}
    recorder = Recorder(plain, {name: value for (value, _), name in names.items()}, backend)
    count = 0
    for arrays in recorder.stream(weights, batches, progress):
        for key, name in names.items():
            _add(found[key], arrays[name], first[key])
        count += 1
    if not count:
        raise error("E912", "there are no batches to calibrate by", hint="give some examples")
    return [Seen(site, found[keys[site]]) for site in sites]


def calibrate(
    graph: Graph,
    weights: Mapping[str, Any],
    batches: Iterable[Sequence[Any]],
    observer: Observer | None = None,
    *,
    backend: str = "torch",
    power_of_two: bool = False,
    progress: Callable[[int], object] = silent,
) -> dict[str, Array]:
    """The weights of a rounded network with the scales and zero points of its activations set by examples.

    `graph` is what the pass `quantize` made, `weights` are all of its weights, `batches` the inputs of the network,
    batch by batch. The observer is `MinMax` by default. What is 0 everywhere gets a scale of 1. Raises what `observe`
    does.
    """
    seen = observe(graph, weights, batches, backend=backend, progress=progress)
    return {**weights, **chosen(seen, weights, observer or MinMax(), power_of_two=power_of_two)}


def chosen(
    seen: Iterable[Seen], weights: Mapping[str, Any], observer: Observer, *, power_of_two: bool = False
) -> dict[str, Array]:
    """The scales and zero points by path that an observer chooses; of those, `weights` has the dtypes."""
    new: dict[str, Array] = {}
    for one in seen:
        site, grid = one.site, integers(one.site, power_of_two=power_of_two)
        fitted = [grid.fitted(*observer.range(h, grid)) if h.lows else (1.0, 0) for h in one.histograms]
        scales, zeros = (np.array(part).reshape(site.scale_shape) for part in zip(*fitted, strict=True))
        new[site.scale] = scales.astype(np.asarray(weights[site.scale]).dtype)
        if site.zero is not None:
            new[site.zero] = zeros.astype(np.int32)
    return new


def integers(site: Site, *, power_of_two: bool = False) -> Integers:
    """What a quantizer rounds to."""
    return Integers(*site.op.bounds, site.zero is not None, power_of_two)


def weight_scales(graph: Graph, weights: Mapping[str, Any], *, power_of_two: bool = False) -> dict[str, Array]:
    """The weights with the scales of rounded weights for the least squared error, each searched by itself.

    Quantizers of weights with a zero point keep theirs. Raises E911 for weights that are not finite.
    """
    sites = [site for site in weight_sites(graph) if site.zero is None]
    values = Graph(f"{graph.name}_weights", (), tuple(site.value for site in sites), weights=graph.weights)
    new = dict(weights)
    for site, array in zip(sites, interpret(values, (), weights).outputs, strict=True):
        numbers = rows(array.astype(np.float64), site.scale_shape)
        if not np.isfinite(numbers).all():
            raise error("E911", f"the weight that `{site.scale}` scales holds NaN or infinity", site.node.span)
        scales = _least_error(numbers, integers(site, power_of_two=power_of_two))
        new[site.scale] = scales.reshape(site.scale_shape).astype(np.asarray(weights[site.scale]).dtype)
    return new


def _least_error(numbers: Array, grid: Integers) -> Array:
    """For each row the scale with the least squared error."""
    widest = np.array([grid.fitted(-reach, reach)[0] for reach in np.abs(numbers).max(axis=1, initial=0.0)])
    best, least = widest, np.full(len(numbers), np.inf)
    for share in _HALVES if grid.power_of_two else _SHARES:
        scales = (share * widest).astype(np.float32).astype(np.float64)
        difference = grid.rounded(numbers, scales[:, None]) - numbers
        cost = np.einsum("ij,ij->i", difference, difference)
        best, least = np.where(cost < least, scales, best), np.minimum(cost, least)
    return best


def _add(histograms: Sequence[Histogram], array: Array, site: Site) -> None:
    for histogram, numbers in zip(histograms, rows(array, site.scale_shape), strict=True):
        if numbers.size and not np.isfinite([numbers.min(), numbers.max()]).all():
            where = str(site.node.place or "") or "the model itself"
            what = f"`{site.value.hint or site.value.op.name}` at {where} becomes NaN or infinite on the examples"
            hint = "are the weights those of a trained network, and the examples scaled as in its training?"
            raise error("E911", what, site.node.span, hint=hint)
        histogram.add(numbers)
