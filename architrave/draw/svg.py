"""Boxes and arrows as SVG: no scripts, no styles and no names, so that it can stand in any page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from architrave.draw.describe import Work, work_of
from architrave.draw.labels import is_symbol
from architrave.draw.layout import Layout, Point
from architrave.draw.parts import Outline, Part
from architrave.draw.text import FONT, clipped, fitting, width
from architrave.ir.source import printable_lines

INK, SOFT, LINE, FRAME = "#1b1f24", "#4a525c", "#5a6470", "#b4bcc6"
FILLS: dict[Work, tuple[str, str]] = {
    "convolution": ("#d3e6f6", "#0072b2"),
    "matrix product": ("#fbe3bd", "#c77700"),
    "other weights": ("#d3efe4", "#00805f"),
    "no weights": ("#ffffff", "#8a939e"),
}
"""The fill and the border of boxes by what they do: blue, orange and green of Okabe and Ito, which most people tell
apart, and whose borders differ in lightness, too."""
NAME, KIND, SHAPE = 12.0, 11.0, 10.0
MARGIN, RADIUS, STACK = 16.0, 5.0, 3.0


def size_of(part: Part) -> Point:
    """The width and height of a box. A frame is as large as what it holds."""
    if part.is_open:
        return 1.0, 1.0
    lines = _lines(part)
    if part.role == "operator" and is_symbol(part.kinds[0]):
        return (24.0, 24.0) if len(part.kinds[0]) == 1 else (34.0, 24.0)
    wide = max(width(text, size) for text, size, _ in lines)
    high = sum(size + 4 for _, size, _ in lines)
    return _even(wide + 18), _even(high + 8)


def drawn(found: Outline, layout: Layout, title: str) -> str:
    """The picture as text."""
    left, top, right, bottom = layout.bounds
    legend = _legend(found)
    across = max(right - left, _legend_width(legend)) + 2 * MARGIN
    down = bottom - top + 2 * MARGIN + (26 if legend else 0)
    root = Element("svg", xmlns="http://www.w3.org/2000/svg", role="img")
    root.attrib |= {"width": _n(across), "height": _n(down), "viewBox": f"0 0 {_n(across)} {_n(down)}"}
    root.attrib |= {"font-family": FONT, "text-anchor": "middle", "fill": INK}
    SubElement(root, "title").text = printable_lines(title)
    SubElement(root, "rect", width="100%", height="100%", fill="#ffffff")
    middle = (across - (right - left)) / 2
    canvas = SubElement(root, "g", transform=f"translate({_n(middle - left)} {_n(MARGIN - top)})")
    frames = [part for part in layout.corners if part.is_open]
    for part in frames:
        _draw_frame(canvas, part, layout)
    for way in layout.ways:
        _draw_arrow(canvas, way)
    for part in layout.corners:
        if not part.is_open:
            _draw_box(canvas, part, layout)
    for part in frames:
        _draw_title(canvas, part, layout)
    _draw_legend(root, legend, across, down)
    indent(root, " ")
    return tostring(root, encoding="unicode") + "\n"


Line = tuple[str, float, str]
"""A line of text, its size and its colour."""


def _lines(part: Part) -> list[Line]:
    """What a box says."""
    outputs = [(str(type), SHAPE, SOFT) for type in part.outputs]
    kinds = [(kind, KIND, INK) for kind in part.kinds]
    match part.role:
        case "call" | "operator":
            lines = [*kinds, *([(f"× {part.many}", NAME, INK)] if part.many > 1 else [])]
        case "input" | "output":
            lines = [(part.name, NAME, INK), *outputs]
        case _:
            lines = [(_counted(part), NAME, INK), *kinds, *outputs[:2]]
    return [(clipped(text), size, color) for text, size, color in lines if text]


def _title(part: Part) -> list[Line]:
    """What a frame says."""
    name = [(_counted(part), NAME, INK)] if part.name else []
    return [*name, *((kind, KIND, SOFT) for kind in part.kinds)]


def _counted(part: Part) -> str:
    return f"{part.name} × {part.many}" if part.many > 1 else part.name


def _draw_frame(canvas: Element, part: Part, layout: Layout) -> None:
    group = _group(canvas, part)
    look = {"fill": _shade(part), "stroke": FRAME}
    if part.role in ("choice", "alternative"):
        look["stroke-dasharray"] = "5 3"
    _draw_stack(group, part, layout, look | {"rx": "8"})


def _draw_title(canvas: Element, part: Part, layout: Layout) -> None:
    """Above arrows that lead into the frame, which it interrupts."""
    left, y, right, _ = layout.corners[part]
    for text, size, color in _title(part):
        y += size + 4
        line = SubElement(canvas, "text", {"x": _n(left + 9), "y": _n(y), "font-size": _n(size), "fill": color})
        line.attrib |= {"text-anchor": "start", "stroke": _shade(part), "stroke-width": "3", "paint-order": "stroke"}
        line.text = fitting(text, size, right - left - 14)
        if size == NAME:
            line.set("font-weight", "600")


def _shade(part: Part) -> str:
    """Frames in frames are light and white in turn."""
    return "#f4f6f9" if sum(1 for _ in part.upwards()) % 2 == 0 else "#ffffff"


def _draw_box(canvas: Element, part: Part, layout: Layout) -> None:
    group = _group(canvas, part)
    left, top, right, bottom = layout.corners[part]
    fill, border = ("#eceff3", "#8a939e") if part.role in ("input", "output") else FILLS[work_of(part)]
    is_round = part.role in ("input", "output", "operator", "call")
    look = {"fill": fill, "stroke": border, "rx": _n(min(12, (bottom - top) / 2)) if is_round else _n(RADIUS)}
    if part.role == "choice":
        look |= {"fill": "#ffffff", "stroke": LINE, "stroke-dasharray": "5 3"}
    _draw_stack(group, part, layout, look)
    lines = _lines(part)
    y = (top + bottom - sum(size + 4 for _, size, _ in lines)) / 2
    for text, size, color in lines:
        y += size + 4
        line = SubElement(group, "text", {"x": _n((left + right) / 2), "y": _n(y - 4), "font-size": _n(size)})
        line.text = text
        if size == NAME:
            line.set("font-weight", "600")
        if color != INK:
            line.set("fill", color)


def _draw_stack(group: Element, part: Part, layout: Layout, look: dict[str, str]) -> None:
    """A rectangle, with two others behind it where it stands for several."""
    left, top, right, bottom = layout.corners[part]
    for behind in (2, 1, 0) if part.many > 1 else (0,):
        x, y = _n(left + behind * STACK), _n(top - behind * STACK)
        SubElement(group, "rect", {"x": x, "y": y, "width": _n(right - left), "height": _n(bottom - top)} | look)


def _draw_arrow(canvas: Element, way: Sequence[Point]) -> None:
    """A line with round corners, and a head."""
    (x, y), (before_x, before_y) = way[-1], way[-2]
    length = max(abs(x - before_x), abs(y - before_y)) or 1.0
    dx, dy = (x - before_x) / length, (y - before_y) / length
    path = [f"M{_at(way[0])}"]
    for last, here, following in zip(way, way[1:], way[2:], strict=False):
        path += [f"L{_at(_towards(here, last))}", f"Q{_at(here)} {_at(_towards(here, following))}"]
    path.append(f"L{_at((x - 5 * dx, y - 5 * dy))}")
    SubElement(canvas, "path", {"d": "".join(path), "fill": "none", "stroke": LINE, "stroke-width": "1.3"})
    corners = [(x, y), (x - 7 * dx - 3.5 * dy, y - 7 * dy - 3.5 * dx), (x - 7 * dx + 3.5 * dy, y - 7 * dy + 3.5 * dx)]
    SubElement(canvas, "path", {"d": "M" + "L".join(map(_at, corners)) + "Z", "fill": LINE})


def _towards(here: Point, there: Point) -> Point:
    """A little way from one corner to another, and no more than half of it."""
    dx, dy = there[0] - here[0], there[1] - here[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    share = min(6.0, length / 2) / length
    return here[0] + dx * share, here[1] + dy * share


def _legend(found: Outline) -> list[Work]:
    """The colours that are there, unless all boxes have one."""
    there = {work_of(box) for box in found.boxes if box.role in ("instance", "call", "operator")}
    return [work for work in FILLS if work in there] if len(there) > 1 else []


def _legend_width(works: Iterable[Work]) -> float:
    return sum(width(work, SHAPE) + 34 for work in works)


def _draw_legend(root: Element, works: Sequence[Work], across: float, down: float) -> None:
    if not works:
        return
    group = SubElement(root, "g", {"font-size": _n(SHAPE), "fill": SOFT, "text-anchor": "start"})
    x, y = (across - _legend_width(works)) / 2, down - 18
    for work in works:
        fill, border = FILLS[work]
        place = {"x": _n(x), "y": _n(y - 9), "width": "14", "height": "11", "rx": "2.5"}
        SubElement(group, "rect", place | {"fill": fill, "stroke": border})
        SubElement(group, "text", x=_n(x + 20), y=_n(y)).text = work
        x += width(work, SHAPE) + 34


def _group(canvas: Element, part: Part) -> Element:
    """What a part is drawn in: it says more when pointed at, and to those who cannot see it."""
    group = SubElement(canvas, "g")
    SubElement(group, "title").text = printable_lines(part.note)
    return group


def _even(size: float) -> float:
    return 2.0 * -(-size // 2)


def _at(point: Point) -> str:
    return f"{_n(point[0])} {_n(point[1])}"


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".") if round(number, 1) else "0"
