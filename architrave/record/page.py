"""Pages that need no other file: rendering templates of this package, and drawing into them."""

from __future__ import annotations

import html
import importlib.util
import io
from typing import Any

from architrave.draw import picture
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError, error

COLOR, SECOND = "#4063d8", "#cb3c33"


def check_page() -> None:
    """Raises E568 where what the page is made by is not installed."""
    missing = [name for name in ("jinja2", "matplotlib", "graphlay") if importlib.util.find_spec(name) is None]
    if missing:
        raise error("E568", f"reports are made by {' and '.join(missing)}", hint="pip install 'architrave[data]'")


def rendered(package: str, **values: Any) -> str:
    """The template `report.html` of a package with these values. Raises E568."""
    check_page()
    import jinja2

    loader = jinja2.PackageLoader(package, ".")
    surroundings = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return surroundings.get_template("report.html").render(**values)


def figure(width: float, height: float, count: int, columns: int = 3) -> tuple[Any, list[Any]]:
    """A figure with so many plots in it, made without the state of pyplot's windows."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    columns = min(columns, count)
    axes = made.subplots(-(-count // columns), columns, squeeze=False).ravel().tolist()
    for empty in axes[count:]:
        empty.set_visible(False)
    return made, axes


def svg(drawn: Any) -> str:
    """A figure as text to be put into a page."""
    out = io.BytesIO()
    drawn.savefig(out, format="svg")
    text = out.getvalue().decode()
    return text[text.index("<svg") :]


def network(graph: Graph) -> str:
    """A network as a picture to be put into a page, or as text why there is none."""
    try:
        return picture(graph)
    except ArchitraveError as problem:
        return f"<p>{html.escape(problem.diagnostics[0].message)}.</p>"
