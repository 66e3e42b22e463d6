"""What became of a network that was factorized, as data and as a page that needs no other file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from architrave.factorize.factorized import Cut, Factorized
from architrave.passes.factorize.ranks import rank_text
from architrave.record.page import COLOR, SECOND, figure, rendered, svg

BARS = 60
"""The layers that have a bar."""


def facts(found: Factorized) -> dict[str, Any]:
    """All of it as JSON-ready data. The ratio of signal to noise of what loses nothing is None."""
    return {
        "model": found.network.name,
        "passes": found.passes,
        "method": found.plan.method,
        "level": found.level,
        "size": {by: {"before": count, "after": found.after[by]} for by, count in found.before.items()},
        "layers": [_layer(cut) for cut in found.cuts],
    }


def shape_text(cut: Cut) -> str:
    """The shape of the weight as text."""
    return " x ".join(map(str, cut.layer.sizes))


def rank_shown(cut: Cut) -> str:
    """The rank as text, which is empty for what stays as it is."""
    return "" if cut.rank is None else rank_text(cut.rank)


def decibels_text(cut: Cut) -> str:
    """The signal-to-noise ratio as text."""
    return "exact" if cut.decibels == math.inf else f"{cut.decibels:.1f} dB"


def page(found: Factorized, before: Mapping[str, float], after: Mapping[str, float]) -> str:
    """The page, with scores of both networks. Raises E568."""
    return rendered(
        "architrave.factorize",
        found=found,
        before=before,
        after=after,
        picture=_picture(found.cuts),
        shape=shape_text,
        rank=rank_shown,
        decibels=decibels_text,
    )


def _layer(cut: Cut) -> dict[str, Any]:
    return {
        "path": cut.path,
        "place": cut.layer.place,
        "shape": list(cut.layer.sizes),
        "pass": cut.step or None,
        "rank": None if cut.rank is None else list(cut.rank),
        "before": dict(cut.before),
        "after": dict(cut.after),
        "bound": cut.bound,
        "error": cut.error,
        "sqnr": cut.decibels if math.isfinite(cut.decibels) else None,
    }


def _picture(cuts: Sequence[Cut]) -> str:
    """The parameters of each layer, and what is left of them; of many layers, the largest."""
    largest = sorted(cuts, key=lambda cut: cut.before["parameters"], reverse=True)[:BARS]
    shown = [cut for cut in cuts if cut in largest]
    drawing, (plot,) = figure(9, 1 + 0.22 * len(shown), 1)
    rows = range(len(shown))
    plot.barh(rows, [cut.before["parameters"] for cut in shown], color="#d0d4e0", label="before")
    plot.barh(rows, [cut.after["parameters"] for cut in shown], height=0.5, color=COLOR, label="after")
    plot.set_yticks(rows, [cut.path for cut in shown], fontsize=7)
    plot.invert_yaxis()
    plot.set_xlabel("parameters")
    errors = plot.twiny()
    errors.plot([cut.error for cut in shown], rows, "|", color=SECOND, label="relative error")
    errors.set_xlim(0, 1)
    errors.set_xlabel("relative error of the weight", color=SECOND)
    plot.legend(fontsize=7)
    return svg(drawing)
