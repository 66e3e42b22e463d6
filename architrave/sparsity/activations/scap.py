"""What `scap` subtracts from the inputs of layers, and what it takes for 0, by examples.

Chua, Pan and Jain, "Post-Training Statistical Calibration for Higher Activation Sparsity" (2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.source import error
from architrave.passes.select import Select
from architrave.passes.sparsify.scap import ScapSite, scap_sites
from architrave.record import Histogram, Recorder, silent

Shares = float | Mapping[str, float]
"""The share of each input that becomes 0: one for all, or by selectors of the layers, of which the first counts."""


def scap(
    graph: Graph,
    weights: Mapping[str, Any],
    batches: Sequence[Sequence[Any]],
    shares: Shares = 0.5,
    *,
    centre: bool = True,
    backend: str = "numpy",
    progress: Callable[[int], object] = silent,
) -> dict[str, Array]:
    """The weights with the mode and the threshold of each input that the pass `scap` centred, by examples.

    The mode is where a kernel density of all elements of the input is largest; 0 without `centre`. The threshold is
    such that `round(share * N)` of the N elements are nearer to the mode; where many are equally near, all of them are
    or none, whichever comes nearer. All inputs are as they are while nothing is taken for 0. `shares` is a number, or
    has one for kinds of inputs, `{"*.fc2": 0.6, "*": 0.3}`; what none matches stays whole. Three passes over the
    batches see one batch at a time. Raises E943 for shares that are none, a network without such inputs, and what is
    not finite; E912 where there are no batches.
    """
    chosen = {site: share for site in scap_sites(graph) if (share := _share(site, shares)) is not None}
    if not chosen:
        raise error("E943", f"`{graph.name}` has no inputs to calibrate", hint="the pass `scap` makes them")
    sites = list(chosen)
    untouched = {**weights, **{site.threshold: np.zeros((), _dtype(weights, site.threshold)) for site in sites}}
    look = _Look(graph, sites, batches, backend, progress)
    seen = look.histograms(untouched, [site.x for site in sites])
    modes = {site.mode: mode(h) if centre else 0.0 for site, h in zip(sites, seen, strict=True)}
    untouched |= {path: np.asarray(m, _dtype(weights, path)) for path, m in modes.items()}
    distances = [_distance(site) for site in sites]
    seen = look.histograms(untouched, distances)
    ranks = [round(chosen[site] * h.total) for site, h in zip(sites, seen, strict=True)]
    bounds = [_bin(h, rank) for h, rank in zip(seen, ranks, strict=True)]
    found = look.order_statistics(untouched, distances, bounds)
    for site, rank, h, inside, bound in zip(sites, ranks, seen, found, bounds, strict=True):
        untouched[site.threshold] = _threshold(rank, h, inside, bound).astype(_dtype(weights, site.threshold))
    return {path: np.asarray(array) for path, array in untouched.items()}


@dataclass(frozen=True)
class _Look:
    """Passes over the examples."""

    graph: Graph
    sites: Sequence[ScapSite]
    batches: Sequence[Sequence[Any]]
    backend: str
    progress: Callable[[int], object]

    def histograms(self, weights: Mapping[str, Any], values: Sequence[Value]) -> list[Histogram]:
        found = [Histogram() for _ in values]
        for arrays in self._arrays(weights, values):
            for h, array, site in zip(found, arrays, self.sites, strict=True):
                _check_finite(array, site)
                h.add(array)
        if not all(h.lows for h in found):
            raise error("E912", "there are no batches to calibrate by", hint="give some examples")
        return found

    def order_statistics(
        self, weights: Mapping[str, Any], values: Sequence[Value], bounds: Sequence[tuple[float, float]]
    ) -> list[Array]:
        """What lies within bounds, the lower one included, in order."""
        parts: list[list[Array]] = [[] for _ in values]
        for arrays in self._arrays(weights, values):
            for part, array, (low, high) in zip(parts, arrays, bounds, strict=True):
                part.append(array[(array >= low) & (array < high)])
        return [np.sort(np.concatenate(part)) for part in parts]

    def _arrays(self, weights: Mapping[str, Any], values: Sequence[Value]) -> Any:
        names = {str(i): value for i, value in enumerate(values)}
        recorder = Recorder(replace(self.graph, outputs=tuple(values), updates=()), names, self.backend)
        for found in recorder.stream(weights, self.batches, self.progress):
            yield [found[name] for name in names]


def mode(seen: Histogram) -> float:
    """Where the density of the numbers of a histogram is largest, by a normal kernel over its bins.

    Its bandwidth is Silverman's rule of thumb ("Density Estimation for Statistics and Data Analysis", 1986, equation
    3.31). A bin that has most of what is within a bandwidth of the largest is the mode itself: one number that is
    frequent, such as the 0 of a relu. It is the lower edge of a bin.
    """
    centers, counts, width = seen.centers, seen.counts.astype(np.float64), 2.0**seen.exponent
    total = float(counts.sum())
    mean = counts @ centers / total
    deviation: float = math.sqrt(counts @ (centers - mean) ** 2 / total)
    quartiles: Array = np.interp([0.25 * total, 0.75 * total], np.cumsum(counts), centers)
    spread = min(deviation, float(quartiles[1] - quartiles[0]) / 1.34) or deviation
    reach: float = 0.9 * spread * total**-0.2 / width
    ends = math.ceil(4 * reach)
    taps: Array = np.arange(-ends, ends + 1) / max(reach, 1e-9)
    kernel: Array = np.exp(-0.5 * taps**2)
    density = np.convolve(counts, kernel, "full")[ends:][: len(counts)]
    peak = int(np.argmax(density))
    first = max(peak - math.ceil(reach), 0)
    around = counts[first : peak + math.ceil(reach) + 1]
    fullest = int(np.argmax(around))
    return float(seen.edges[first + fullest if 2 * around[fullest] > around.sum() else peak])


def _bin(seen: Histogram, rank: int) -> tuple[float, float]:
    """The bin of the element that so many precede."""
    i = min(int(np.searchsorted(np.cumsum(seen.counts), rank, side="right")), len(seen.counts) - 1)
    low, high = seen.edges[i], seen.edges[i + 1]
    return float(low), float(high)


def _threshold(rank: int, seen: Histogram, inside: Array, bound: tuple[float, float]) -> Array:
    """The element that `rank` others precede, or what follows it where more are equal to it than it would leave out.

    What follows the last where `rank` is all of them.
    """
    if rank >= seen.total:
        return np.asarray(np.nextafter(np.float32(seen.high), np.float32(np.inf)))
    before = int(seen.counts[seen.edges[:-1] < bound[0]].sum())
    element: Any = inside[rank - before]
    below = before + np.count_nonzero(inside < element)
    upto = before + np.count_nonzero(inside <= element)
    return np.asarray(element if rank - below <= upto - rank else np.nextafter(element, np.inf, dtype=inside.dtype))


def _share(site: ScapSite, shares: Shares) -> float | None:
    """The share of an input, None where it stays whole. Raises E943, and E805 for what is no selector."""
    if not isinstance(shares, Mapping):
        return _checked(shares)
    users = ((Select.parse(text), share) for text, share in shares.items())
    return next((_checked(share) for select, share in users if select.matches(site.node)), None)


def _checked(share: float) -> float:
    if not 0 <= share <= 1:
        raise error("E943", f"the share of an input that becomes 0 is between 0 and 1, not {share:g}")
    return share


def _distance(site: ScapSite) -> Value:
    """The node `|x - mode|`."""
    return site.node.operands[0].node.operands[0]


def _dtype(weights: Mapping[str, Any], path: str) -> Any:
    return np.asarray(weights[path]).dtype


def _check_finite(array: Array, site: ScapSite) -> None:
    if array.size and not np.isfinite([array.min(), array.max()]).all():
        where = str(site.node.place or "") or "the model itself"
        what = f"the input of {where} becomes NaN or infinite on the examples"
        raise error("E943", what, site.node.span, hint="are the weights those of a trained network?")
