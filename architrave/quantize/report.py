"""What became of a network that was quantized, as data and as a page that needs no other file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from architrave.quantize.calibrate import Seen
from architrave.quantize.noise import Layer, Ratio
from architrave.quantize.ptq import Quantized
from architrave.record.histogram import Histogram
from architrave.record.page import COLOR, SECOND, figure, rendered, svg

BARS, PICTURES, BINS = 40, 12, 80
"""The layers that have a bar, the histograms that are drawn, and the bins of these."""


def facts(found: Quantized) -> dict[str, Any]:
    """All of it as JSON-ready data. Infinite ratios of signal to noise are None."""
    size, same = found.size, found.agreement
    return {
        "model": found.network.name,
        "passes": found.plan.passes,
        "method": found.plan.method,
        "examples": found.plan.examples,
        "size": {
            "numbers": size.numbers,
            "before": size.before,
            "after": size.after,
            "stored": size.stored,
            "bits_per_weight": size.bits_per_weight,
        },
        "layers": [_layer(layer) for layer in worst(found.layers)],
        "ranges": [_range(seen, found.settings) for seen in found.seen],
        "declined": [{"pass": e.step, "place": str(e.node.place or ""), "reason": e.reason} for e in found.declined],
        "agreement": {
            "reference": same.reference,
            "bytes": same.total,
            "differing": dict(same.differing),
            "largest": _finite(same.largest),
            "skipped": dict(same.skipped),
        },
        "before": dict(found.before),
        "after": dict(found.after),
    }


def worst(layers: Sequence[Layer]) -> list[Layer]:
    """The layers, those whose results have the most noise first."""
    return sorted(layers, key=lambda layer: layer.output.decibels)


def decibels(ratio: Ratio) -> str:
    """A ratio as text."""
    return "exact" if ratio.decibels == math.inf else f"{ratio.decibels:.1f} dB"


def bits_text(layer: Layer) -> str:
    """The bits of the operands of a layer as text."""
    return " x ".join("float" if bits is None else str(bits) for bits in layer.bits)


def percent(share: float) -> str:
    """A share as text."""
    return f"{share:.2%}"


def page(found: Quantized, data: str) -> str:
    """The page. `data` is the name of the examples. Raises E568."""
    return rendered(
        "architrave.quantize",
        found=found,
        data=data,
        layers=worst(found.layers),
        bars=_bars(found.layers),
        histograms=_histograms(found.seen, found.settings),
        decibels=decibels,
        percent=percent,
        bits=bits_text,
    )


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "place": layer.name,
        "op": layer.node.op.name,
        "bits": list(layer.bits),
        "weight": _finite(layer.weight.decibels) if layer.weight is not None else None,
        "output": _finite(layer.output.decibels),
    }


def _range(seen: Seen, settings: Mapping[str, Any]) -> dict[str, Any]:
    low, high = bounds(seen, settings)
    least, most = (
        pick(getattr(h, end) for h in seen.histograms if h.lows) for pick, end in ((min, "low"), (max, "high"))
    )
    return {"scale": seen.site.scale, "seen": [least, most], "chosen": [low, high]}


def bounds(seen: Seen, settings: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the largest number that a quantizer does not cut off."""
    scale = np.asarray(settings[seen.site.scale], np.float64)
    zero = settings[seen.site.zero] if seen.site.zero is not None else 0
    low, high = ((np.asarray(end, np.float64) - zero) * scale for end in seen.site.op.bounds)
    return float(low.min()), float(high.max())


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _bars(layers: Sequence[Layer]) -> str:
    """A bar for each layer, in the order in which they run; of many layers, the worst."""
    shown = {id(layer) for layer in worst(layers)[:BARS]}
    bars = [layer for layer in layers if id(layer) in shown]
    drawing, axes = figure(9, 1 + 0.22 * len(bars), 1)
    longest = max((value for layer in bars if math.isfinite(value := layer.output.decibels)), default=1.0)
    drawn = axes[0].barh(range(len(bars)), [_length(layer.output, longest) for layer in bars], color=COLOR)
    axes[0].bar_label(drawn, [decibels(layer.output) for layer in bars], fontsize=6, padding=2)
    axes[0].set_yticks(range(len(bars)), [layer.name for layer in bars], fontsize=7)
    axes[0].invert_yaxis()
    axes[0].set_xlabel("signal to noise of the result, in decibels")
    return svg(drawing)


def _length(ratio: Ratio, longest: float) -> float:
    """How long a bar is: that of no noise as long as the longest."""
    return longest if ratio.decibels == math.inf else _finite(ratio.decibels) or 0.0


def _histograms(seen: Sequence[Seen], settings: Mapping[str, Any]) -> str:
    """What was seen of the first activations, and the ranges that were chosen."""
    shown = [one for one in seen if one.histograms[0].lows][:PICTURES]
    if not shown:
        return ""
    drawing, axes = figure(9, 1.8 * -(-len(shown) // 3), len(shown))
    for one, plot in zip(shown, axes, strict=False):
        edges, counts = coarse(one.histograms[0])
        plot.stairs(counts, edges, fill=True, color=COLOR)
        plot.set_yscale("log")
        for end in bounds(one, settings):
            plot.axvline(end, color=SECOND, linewidth=1)
        plot.set_title(one.site.scale, fontsize=7)
        plot.tick_params(labelsize=6)
    return svg(drawing)


def coarse(histogram: Histogram, bins: int = BINS) -> tuple[Any, Any]:
    """The edges and the counts of a histogram in fewer bins."""
    group = -(-len(histogram.counts) // bins)
    padded = np.pad(histogram.counts, (0, -len(histogram.counts) % group))
    width = 2.0**histogram.exponent
    starts = (histogram.first + group * np.arange(len(padded) // group + 1)) * width
    return starts, padded.reshape(-1, group).sum(axis=1)
