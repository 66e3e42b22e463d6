"""What it costs to round each tensor to few bits: measured, by divergence, or by the curvature of the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.source import error, printable
from architrave.passes.quantize.rounding.sites import weight_sites
from architrave.passes.quantize.rounding.widths import Bits, widths, with_widths
from architrave.quantize.allocate import log_probabilities
from architrave.record.recorder import Recorder, silent
from architrave.record.scores import scores
from architrave.train.data import Dataset

Measure = Callable[[Graph, Mapping[str, Any]], float]
"""How bad a network is with its weights; 0 is best of a distance, the least of a loss."""
Losses = Mapping[str, Mapping[int, float]]
"""What each tensor costs by its bits; tensors by the paths of the scales of their quantizers."""


def cross_entropy(data: Dataset, *, batch: int = 32, backend: str = "torch") -> Measure:
    """The mean cross-entropy of the first output on examples with classes, in nats. Raises E915 for others."""

    def measure(graph: Graph, weights: Mapping[str, Any]) -> float:
        found = scores(graph, weights, data, batch=batch, backend=backend)
        if not found:
            what = f"the targets of {printable(data.name)} are no classes of `{graph.name}`"
            raise error("E915", what, hint="measure by `divergence` or `distance`, which need no targets")
        return found["loss"]

    return measure


def divergence(
    graph: Graph, weights: Mapping[str, Any], batches: Sequence[Sequence[Any]], *, backend: str = "torch"
) -> Measure:
    """The mean Kullback-Leibler divergence of class probabilities from those of `graph` with nothing rounded.

    The first output holds scores of classes along its last axis.
    """
    exact = [log_probabilities(y) for y in _outputs(*_with(graph, weights, {}, others=0), batches, backend)]

    def measure(graph: Graph, weights: Mapping[str, Any]) -> float:
        rounded = (log_probabilities(y) for y in _outputs(graph, weights, batches, backend))
        return float(np.mean([(np.exp(p) * (p - q)).sum(-1).mean() for p, q in zip(exact, rounded, strict=True)]))

    return measure


def distance(
    graph: Graph, weights: Mapping[str, Any], batches: Sequence[Sequence[Any]], *, backend: str = "torch"
) -> Measure:
    """The mean square of the change of the first output from that of `graph` with nothing rounded."""
    exact = list(_outputs(*_with(graph, weights, {}, others=0), batches, backend))

    def measure(graph: Graph, weights: Mapping[str, Any]) -> float:
        rounded = _outputs(graph, weights, batches, backend)
        return float(np.mean([np.square(y - x).mean() for x, y in zip(exact, rounded, strict=True)]))

    return measure


def measured(graph: Graph, weights: Mapping[str, Any], measure: Measure) -> Callable[[Bits], float]:
    """How bad a calibrated network of the pass `quantize` is with other bits; negated, it is what `bisected` takes."""
    return lambda bits: measure(*_with(graph, weights, bits))


def sensitivities(
    graph: Graph,
    weights: Mapping[str, Any],
    measure: Measure,
    paths: Sequence[str],
    choices: Sequence[int] = (2, 4, 8),
    progress: Callable[[int], object] = silent,
) -> dict[str, dict[int, float]]:
    """How bad the network is where one tensor alone is rounded, weight or activation, by its scale and its bits.

    `graph` is what the pass `quantize` made, `weights` are those after calibration: of other bits, each tensor keeps
    the range that it has there. That is one run of the measure for each tensor and each of the `choices`.
    """
    found: dict[str, dict[int, float]] = {path: {} for path in paths}
    for path in paths:
        for bits in choices:
            found[path][bits] = measure(*_with(graph, weights, {path: bits}, others=0))
            progress(1)
    return found


def curvature_losses(
    graph: Graph, weights: Mapping[str, Any], traces: Mapping[str, float], choices: Sequence[int] = (2, 4, 8)
) -> dict[str, dict[int, float]]:
    """How much the loss grows, by its curvature, where each weight is rounded; by the scale and the bits.

    `traces` are those of `hessian.traces`, by the path of the weight. The mean curvature is multiplied by the square
    of the change, by half: Dong and others, "HAWQ-V2" (2020).
    """
    paths = {site.scale: site.path for site in weight_sites(graph)}
    chosen = {scale: traces[path] for scale, path in paths.items() if path is not None and path in traces}
    found: dict[str, dict[int, float]] = {path: {} for path in chosen}
    for bits in choices:
        changed, new = _with(graph, weights, dict.fromkeys(chosen, bits))
        sites = [site for site in weight_sites(changed) if site.scale in chosen]
        pairs = tuple(value for site in sites for value in (site.value, site.rounded))
        arrays = interpret(replace(changed, inputs=(), outputs=pairs, updates=()), (), new).outputs
        for site, exact, rounded in zip(sites, arrays[::2], arrays[1::2], strict=True):
            mean = chosen[site.scale] / exact.size
            found[site.scale][bits] = mean * float(np.square(rounded - exact).sum()) / 2
    return found


def _with(
    graph: Graph, weights: Mapping[str, Any], bits: Bits, others: int | None = None
) -> tuple[Graph, dict[str, Any]]:
    """The network and its weights with other bits; all that are not named have `others`, where that is given."""
    made = with_widths(graph, bits if others is None else {**dict.fromkeys(widths(graph), others), **bits})
    return made.graph, made.weights(weights)


def _outputs(graph: Graph, weights: Mapping[str, Any], batches: Sequence[Sequence[Any]], backend: str) -> Any:
    recorder = Recorder(graph, {"y": graph.outputs[0]}, backend)
    return (found["y"].astype(np.float64) for found in recorder.stream(weights, batches))
