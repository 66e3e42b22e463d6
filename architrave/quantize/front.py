"""A picture of the choices of bits of which none is both cheaper and better than another."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from architrave.files import write_bytes
from architrave.quantize.allocate import Choice
from architrave.train.curves import COLORS, check_drawing

KINDS = ("png", "svg")


def plot_front(points: Sequence[Choice], path: Path, chosen: Choice | None = None, cost: str = "size in bits") -> None:
    """Draw what choices take against how much worse the network is with them, as a PNG, or an SVG by the name.

    `chosen` is marked, and its bits are listed. `cost` says what the sizes are. Raises E520, E568.
    """
    check_drawing()
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.step([p.size for p in points], [p.loss for p in points], where="post", color=COLORS[0], marker=".")
    if chosen is not None:
        axes.plot([chosen.size], [chosen.loss], "o", color=COLORS[1], label=_counted(chosen))
        axes.legend()
    # Bits cost by powers of four: on an even scale all but the first few would lie on the axis.
    axes.set_yscale("symlog", linthresh=max(min((p.loss for p in points if p.loss > 0), default=1.0), 1e-12))
    axes.set(xlabel=cost, ylabel="estimated loss")
    axes.grid(alpha=0.3)
    out = io.BytesIO()
    kind = path.suffix.lstrip(".").lower()
    figure.savefig(out, format=kind if kind in KINDS else KINDS[0], dpi=120)
    write_bytes(path, out.getvalue())


def _counted(choice: Choice) -> str:
    """How many tensors have which bits."""
    widths = list(choice.bits.values())
    return ", ".join(f"{widths.count(b)} of {b} bits" for b in sorted(set(widths)))
