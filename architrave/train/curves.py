"""Pictures of a run: its curves as PNG or SVG, and a page with them."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from architrave.files import write_bytes, write_text
from architrave.ir.source import error

Rows = Sequence[Mapping[str, Any]]
COLORS = ("#4063d8", "#cb3c33")

PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>$title</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
  table { border-collapse: collapse } td, th { padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd }
  svg { max-width: 100%; height: auto }
</style>
<h1>$title</h1>
<p>$about</p>
$picture
<table>$rows</table>
</html>
""")


def write_plot(path: Path, rows: Rows, title: str) -> None:
    """The loss, and the accuracy if there is one, over the epochs, as a PNG. Raises E520, E568."""
    write_bytes(path, _drawn(rows, title, "png"))


def write_report(path: Path, rows: Rows, title: str, about: str) -> None:
    """A page with the curves and the numbers, which needs no other file. Raises E520, E568."""
    picture = _drawn(rows, title, "svg").decode()
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(name.replace('_', ' '))}" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{_number(row.get(name))}" for name in names) for row in rows)
    page = PAGE.substitute(
        title=escape(title), about=escape(about), picture=picture[picture.index("<svg") :], rows=f"<tr>{head}{body}"
    )
    write_text(path, page)


def check_drawing() -> None:
    """Raises E568 where the library that draws is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise error("E568", "curves are drawn by matplotlib", hint="pip install 'architrave[data]'")


def _number(value: Any) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else f"{value:.4g}"


def _drawn(rows: Rows, title: str, kind: str) -> bytes:
    check_drawing()
    from matplotlib.figure import Figure

    measures = ["loss", *(["accuracy"] if any("val_accuracy" in row for row in rows) else [])]
    figure: Any = Figure(figsize=(5 * len(measures), 3.4), layout="constrained")
    figure.suptitle(title)
    for axes, measure in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures, strict=True):
        for name, label, color in zip((measure, f"val_{measure}"), ("training", "validation"), COLORS, strict=True):
            points = [(row["epoch"], row[name]) for row in rows if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), label=label, color=color, marker="." if len(points) < 40 else "")
        axes.set(xlabel="epoch", ylabel=measure)
        axes.grid(alpha=0.3)
        axes.legend()
    out = io.BytesIO()
    figure.savefig(out, format=kind, dpi=120)
    return out.getvalue()
