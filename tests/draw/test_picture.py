"""Pictures of networks: the same text for the same network, boxes that do not overlap, and nothing from names."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from architrave import loads
from architrave.dsl.elaborate.model import elaborate
from architrave.ir.graph import Graph, apply, make
from architrave.ir.op import OPS
from architrave.ir.place import Block, Here, Place
from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from tests.stdlib.small import SMALL
from tests.stdlib.test_library import MODELS

pytest.importorskip("graphlay", reason="graphlay is not installed")

from architrave.draw import picture
from architrave.draw.outline import outline

RESIDUAL = """from std import batch_norm, conv2d, global_avg_pool, linear

block Residual(width: int)(x: [N, C, H, W]) -> [N, C, H, W] {
    return x + (x -> conv1: conv2d(width) -> norm: batch_norm -> relu -> conv2: conv2d(C, 1))
}

model Net(depth: int = 3)(image: [N, 3, 16, 16]) -> [N, 10] {
    x = image -> stem: conv2d(8, 3, stride = 2)
    for i in 0..depth {
        x = x -> layer[i]: Residual(16)
    }
    return 0.5 * (x -> global_avg_pool -> head: linear(10))
}
"""
CHOICES = """from std.linear import linear

block Wide()(x: [N, C]) -> [N, C] = x -> up: linear(2 * C) -> relu -> down: linear(C)

model Space()(x: [N, 4]) -> [N, 2] {
    x = x -> choice act { relu: relu, gelu: gelu, none: identity }
    x = x + (x -> choice body { wide: Wide, plain: linear(4), skip: identity })
    return x -> head: linear(2)
}
"""
SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def space(text: str) -> Graph:
    return find_in_text(text).elaborate({}, keep_choices=True).graph


def texts(svg: str) -> list[str]:
    return [line.text or "" for line in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def shapes(svg: str) -> list[tuple[str, Box]]:
    """What pointing at boxes tells of them, and where they are, left and top, right and bottom."""
    found: list[tuple[str, Box]] = []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        title, *rest = group
        if title.tag == f"{SVG}title":
            x, y, width, height = (float(rest[0].get(key, "")) for key in ("x", "y", "width", "height"))
            found.append((title.text or "", (x, y, x + width, y + height)))
    return found


def apart(a: Box, b: Box) -> bool:
    return a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def within(a: Box, b: Box) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


@pytest.mark.parametrize(
    ("name", "graph"), [("residual", loads(RESIDUAL)), ("choices", space(CHOICES))], ids=["residual", "choices"]
)
def test_text(golden: Callable[[str, str], None], name: str, graph: Graph) -> None:
    found = picture(graph)
    golden(f"{name}.svg", found)
    assert found == picture(graph)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_network_can_be_drawn(name: str) -> None:
    member = elaborate(MODELS[name], SMALL[name])
    graphs = [member.graph]
    if member.choices:
        graphs.append(elaborate(MODELS[name], SMALL[name], keep_choices=True).graph)
    for drawn in map(shapes, map(picture, graphs)):
        assert len(drawn) >= 3
        for (_, a), (_, b) in itertools.combinations(drawn, 2):
            assert apart(a, b) or within(a, b) or within(b, a)


def test_arrows_are_what_flows() -> None:
    found = outline(loads(RESIDUAL), 2)
    assert found is not None
    names = {
        box: box.path if box.role == "instance" else " ".join([box.name, *box.kinds]).strip() for box in found.boxes
    }
    arrows = {(names[a], names[b]) for a, b in found.edges}
    assert {
        ("image", "stem"),
        ("stem", "layer.0"),
        ("layer.0", "layer.1"),
        ("layer.1", "layer.2"),
        ("head", "× 0.5"),
        ("× 0.5", "output"),
    } <= arrows
    found = outline(loads(RESIDUAL), 3)
    assert found is not None
    arrows = {(a.path or a.name, b.path or b.name, *b.kinds) for a, b in found.edges}
    assert {("stem", "layer.0.conv1"), ("stem", "layer.0", "+"), ("layer.0.conv2", "layer.0", "+")} <= arrows


@pytest.mark.parametrize(
    ("options", "said", "boxes"),
    [
        ({"depth": 0}, ["Net"], 3),
        ({"depth": 1}, ["stem", "layer", "3 Residual", "global_avg_pool", "head"], 7),
        ({"depth": 2}, ["layer.0-2 × 3", "Residual", "[N, 8, 8, 8]"], 7),
        ({"depth": 2, "every": True}, ["layer.0", "layer.1", "layer.2"], 9),
        ({"depth": 2, "sizes": {"N": 5}}, ["[5, 8, 8, 8]", "[5, 10]"], 7),
        ({}, ["layer.0-2 × 3", "conv2d 3x3", "conv2d 1x1", "+", "relu"], 12),
        ({"training": True}, ["layer.0-2 × 3", "batch_norm"], 12),
    ],
)
def test_how_deep(options: dict[str, object], said: list[str], boxes: int) -> None:
    svg = picture(loads(RESIDUAL), **options)  # type: ignore[arg-type]  # as the options are
    assert set(said) <= set(texts(svg))
    assert len(shapes(svg)) == boxes, texts(svg)


def test_an_instance_that_is_applied_twice_is_two_boxes() -> None:
    graph = loads(
        "from std.linear import linear\nmodel M()(x: [N, 4]) -> [N, 4] {\n    f = linear(4)\n    return f(f(x))\n}"
    )
    assert texts(picture(graph)).count("f") == 2


def test_like_frames_are_open_once_where_all_would_be_too_many() -> None:
    graph = loads(RESIDUAL.replace("Residual(16)", "Residual(16 + i)").replace("depth: int = 3", "depth: int = 20"))
    said = texts(picture(graph))
    assert said.count("as layer.0") == 19
    assert said.count("conv1") == 1


def test_alternatives_are_named_or_drawn() -> None:
    whole, listed = texts(picture(space(CHOICES))), texts(picture(space(CHOICES), depth=1))
    assert {"relu", "gelu", "none", "wide", "plain", "skip"} <= set(whole) & set(listed)
    assert {"up", "down"} <= set(whole) - set(listed)
    assert {"identity", "or"} <= set(whole) & set(listed)


def test_names_are_text() -> None:
    hostile = "</title><script>alert('\"&\x07\ud800')</script>" + "a" * 500
    place = Place(hostile, Block("block", hostile, arguments=(("kernel", 10**50), ("x", hostile))), Place(""))
    x = loads("model M()(x: [N, 4]) -> [N, 4] = relu(x)").inputs[0]
    y = make(OPS["relu"](), (x,), Here(place=place)).outputs[0].named(hostile)
    svg = picture(Graph(hostile, (x,), (apply(OPS["tanh"](), y),)))
    root = ElementTree.fromstring(svg)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {"svg", "g", "title", "rect", "text", "path"}
    assert "<script" not in svg
    assert len(svg) < 20_000
    assert max(map(len, texts(svg))) < 50


@pytest.mark.parametrize(
    ("turns", "step", "depth", "boxes"),
    [
        (1000, "y -> layer[i]: linear(4)", None, 3),
        (500, "y -> layer[i]: linear(4 + i)", None, 3),
        (500, "y -> layer[i]: linear(4 + i)", 2, None),
        (500, "relu(y) * y", None, None),
        (40, "concat([y, y -> layer[i]: linear(4)], axis = 1)", 2, 82),
        (40, "concat(all, axis = 1) -> layer[i]: linear(4)", None, None),
    ],
    ids=["equal", "list", "boxes", "operators", "row", "arrows"],
)
def test_large_networks(turns: int, step: str, depth: int | None, boxes: int | None) -> None:
    loop = f"for i in 0..{turns} {{\n        y = {step}\n        all = all + [y]\n    }}"
    body = f"y = x\n    all = [x]\n    {loop}\n    return y"
    graph = loads(f"from std.linear import linear\nmodel M()(x: [N, 4]) {{\n    {body}\n}}")
    if boxes is not None:
        assert len(shapes(picture(graph, depth=depth))) == boxes
        return
    with pytest.raises(ArchitraveError) as problem:
        picture(graph, depth=depth)
    assert problem.value.diagnostics[0].code == "E332"


def test_what_lays_pictures_out_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ArchitraveError, match="graphlay") as problem:
        picture(loads(RESIDUAL))
    assert problem.value.diagnostics[0].code == "E568"
