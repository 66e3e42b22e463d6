"""A page that shows the ways between two networks."""

from __future__ import annotations

from architrave.merge.interpolate import Ways
from architrave.record.page import COLOR, SECOND, figure, rendered, svg


def page(found: Ways, data: str) -> str:
    """The page as HTML, which needs no other file. `data` is the name of the examples. Raises E568."""
    return rendered("architrave.merge", found=found, data=data, way=_way(found), barriers=_barriers(found))


def _way(found: Ways) -> str:
    drawing, (plot,) = figure(5, 3.2, 1)
    whole = found.whole
    plot.plot(whole.shares, whole.losses, color=COLOR, marker=".", label="all weights")
    plot.plot((0, 1), (whole.losses[0], whole.losses[-1]), color=SECOND, linewidth=1, label="the straight line")
    plot.set(xlabel="share of the second network", ylabel="loss")
    plot.legend(fontsize=7)
    plot.grid(alpha=0.3)
    return svg(drawing)


def _barriers(found: Ways) -> str:
    """The barrier of each layer alone, of the first layers, and of the last."""
    drawing, (plot,) = figure(8, 3.2, 1)
    names = [way.name for way in found.layers]
    places = range(len(names))
    plot.bar(places, [way.barrier for way in found.layers], color=COLOR, label="the layer alone")
    plot.plot(places, [way.barrier for way in found.first], color=SECOND, marker=".", label="all up to it")
    plot.plot(places, [way.barrier for way in found.last], color="#389826", marker=".", label="it and all behind")
    plot.set_xticks(places, names, rotation=90, fontsize=6)
    plot.set_ylabel("barrier")
    plot.legend(fontsize=7)
    return svg(drawing)
