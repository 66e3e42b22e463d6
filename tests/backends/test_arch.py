"""Graphs as `.arch` files with their blocks: what is written reads back to an equal graph, and reads well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings

from architrave.backends.arch import write
from architrave.backends.arch.library import Library
from architrave.dsl.format import format_source
from architrave.ir import build
from architrave.ir.autodiff import with_gradients
from architrave.ir.graph import Graph
from architrave.ir.mode import specialize
from architrave.ir.ops.leaves import Initial, path_of
from architrave.ir.place import Fact, marked
from architrave.ir.source import Source
from architrave.models import find_in_text, load, loads
from architrave.stdlib.instances import applied
from tests.backends.test_hierarchy import MODEL, TEXT, block, graph, unit
from tests.backends.texts import TEXTS
from tests.fuzz.graphs import Drawn, drawn
from tests.ir.test_printer import CONTROL
from tests.stdlib.small import SMALL


def read(text: str) -> Graph:
    return find_in_text(text).elaborate({}, keep_choices=True).graph


def weights(graph: Graph) -> dict[str, object]:
    return {path_of(w): (w.op.name, w.type, getattr(w.op, "initial")) for w in graph.weights}  # noqa: B009 - of both kinds


def assert_kept(graph: Graph, library: Library | None = None) -> str:
    """Assert all that is promised of the text of a graph; returns it."""
    text = write(graph, library)
    again = read(text)
    assert again == graph
    assert weights(again) == weights(graph)
    assert format_source(Source("written.arch", text)) == text
    assert max(map(len, text.split("\n"))) <= 120
    assert write(again, library) == text
    return text


SHARING = ("NanoFlow",)
"""Networks whose layers are applied several times, with weights that no block of the library takes."""


@pytest.mark.parametrize("name", sorted(SMALL))
def test_standard_models(name: str) -> None:
    graph = load(name, **SMALL[name])
    assert assert_kept(graph).count("\n") < 5 * str(graph).count("\n")


def test_a_network_that_was_built_before_is_written_alike() -> None:
    first, again = (write(load("NanoFlow", **SMALL["NanoFlow"])) for _ in range(2))
    assert again == first
    assert "above = " in first


@pytest.mark.parametrize("name", sorted(SMALL))
def test_standard_models_with_imports(name: str) -> None:
    text = assert_kept(load(name, **SMALL[name]), applied)
    assert "from std." in text or name in SHARING
    assert text.count("\n") <= write(load(name, **SMALL[name])).count("\n")


def test_what_is_not_as_in_the_library_is_written() -> None:
    graph = load("ResNet18", **SMALL["ResNet18"])
    assert "block " not in write(graph, applied)
    text = assert_kept(specialize(graph, False), applied)
    assert "from std.conv import conv2d\n" in text
    assert "block batch_norm(" in text
    assert "block BasicBlock(" in text


def test_two_imports_of_one_name_are_told_apart() -> None:
    source = """
from std.resnet import Bottleneck
block conv2d(out: int)(x: [N, C, H, W]) {
    param weight: [out, C, 1, 1] = ones
    return op.conv(x, weight)
}
model M()(x: [N, 8, 4, 4]) -> [N, 8, 4, 4] = x -> a: conv2d(8) -> b: Bottleneck(2)
"""
    text = assert_kept(loads(source), applied)
    assert "from std.resnet import Bottleneck" in text
    assert "block conv2d(" in text


@pytest.mark.parametrize("name", CONTROL)
def test_control_flow(name: str) -> None:
    assert_kept(read(CONTROL[name]))


ONCE = ("a loop in a block", "results that change places")
"""What they read back to is written in another order."""


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("library", [None, applied], ids=["alone", "with imports"])
def test_small_models(name: str, library: Library | None) -> None:
    graph = read(TEXTS[name])
    if name in ONCE:
        assert read(write(graph, library)) == graph
    else:
        assert_kept(graph, library)


@pytest.mark.parametrize("name", ["ResNet18", "GPT2Small", "LSTMTagger"])
@pytest.mark.parametrize("training", [False, True])
def test_a_chosen_mode_keeps_the_blocks(name: str, training: bool) -> None:
    text = assert_kept(specialize(load(name, **SMALL[name]), training))
    assert "if training" not in text
    assert "block " in text


@pytest.mark.parametrize("name", ["ResNet18", "GPT2Small"])
def test_gradients(name: str) -> None:
    assert_kept(with_gradients(specialize(load(name, **SMALL[name]), True)))


@given(drawn())
@settings(max_examples=50)
def test_random_graphs(case: Drawn) -> None:
    text = write(case.graph)
    again = read(text)
    assert again == case.graph
    assert weights(again) == weights(case.graph)
    assert format_source(Source("written.arch", text)) == text


def _moved() -> Graph:
    """A node of the model stands between two of a block."""
    x = build.input("x", "[N, 4]")
    place = block("Unit", "a")
    before = unit(x, place)
    with marked(place=MODEL):
        moved = build.tanh(before)
    return graph([x], [unit(moved, place, "other")])


def _circle() -> Graph:
    """Two blocks that need one another."""
    x = build.input("x", "[N, 4]")
    a, b = block("A", "a"), block("B", "b")
    first, second = unit(x, a), unit(x, b)
    with marked(place=b):
        third = build.tanh(first)
    with marked(place=a):
        fourth = build.tanh(second)
    return graph([x], [third, fourth])


def _around() -> Graph:
    """A layer that the block around it applies in its middle."""
    x = build.input("x", "[N, 4]")
    around = block("Around", "around")
    inner = unit(unit(x, around), block("Unit", "shared"))
    return graph([x], [unit(inner, around, "other")])


def _functions() -> Graph:
    x = build.input("x", "[N, 4]")
    with marked(place=block("small", "", kind="fn")):
        y = build.exp(x) + 1.0
    with marked(place=block("large", "", kind="fn")):
        z = build.tanh(build.exp(y) * 2.0)
    return graph([x], [z])


def _lent() -> Graph:
    """A block that uses a weight of the model."""
    x = build.input("x", "[N, 4]")
    with marked(place=MODEL):
        weight = build.param("table", "[4, 4]")
        y = build.matmul(x, weight)
    with marked(place=block("Unit", "a")):
        z = build.tanh(build.exp(build.matmul(y, weight)))
    return graph([x], [z])


def _borrowed() -> Graph:
    """A model that uses a weight of a block, as tied embeddings are."""
    x = build.input("x", "[N, 4]")
    place = block("Unit", "a")
    y = unit(x, place)
    with marked(place=MODEL):
        return graph([x], [build.matmul(y, y.node.operands[0].node.operands[0].node.operands[1])])


def _deep() -> Graph:
    x = y = build.input("x", "[N, 4]")
    place = MODEL
    for _ in range(80):
        place = block("Unit", "a", place)
        y = unit(y, place)
    return graph([x], [y])


def _read_between() -> Graph:
    """A result in the middle of a chain that is used elsewhere."""
    x = y = build.input("x", "[N, 4]")
    results = []
    for number in range(4):
        y = unit(y, block("Unit", f"layer.{number}"))
        results.append(y)
    return graph([x], [results[1], y])


def _hostile_names() -> Graph:
    x = build.input('x"]; import os #', "[N, 4]")
    y = unit(x, block('relu"""\n}', "if"))
    y = unit(y, block("op", "0"))
    y = unit(y, block("", "a b"), 'w"}\n')
    built = graph([x], [unit(y, block("training", "model"), "param")])
    return replace(built, name="M\nimport os")


def _marked() -> Graph:
    """Equal blocks, of which one is marked, and a marked node in another."""
    x = y = build.input("x", "[N, 4]")
    keep = (Fact("keep"),)
    for number, facts in enumerate([(), keep, (), ()]):
        with marked(facts=facts):
            y = unit(y, block("Unit", f"layer.{number}"))
    with marked(facts=keep, place=MODEL):
        y = build.relu(y)
    return graph([x], [y])


def _initial() -> Graph:
    """Equal blocks whose weights start differently."""
    x = y = build.input("x", "[N, 4]")
    for number in range(4):
        with marked(place=block("Unit", f"layer.{number}")):
            start = Initial("normal", (0.5, 0.0)) if number == 2 else Initial("ones")
            y = build.relu(build.matmul(y, build.param(f"layer.{number}.weight", "[4, 4]", start)))
    return graph([x], [y])


GRAPHS: list[Callable[[], Graph]] = [
    _moved, _circle, _around, _functions, _lent, _borrowed, _deep, _read_between, _hostile_names, _marked, _initial,
]  # fmt: skip


@pytest.mark.parametrize("make", GRAPHS, ids=lambda make: make.__name__.strip("_"))
def test_what_passes_may_leave(make: Callable[[], Graph]) -> None:
    assert_kept(make())


def test_facts_stay_where_they_are() -> None:
    marks = _facts(_marked())
    assert _facts(read(write(_marked()))) == marks
    assert len(marks) == 4


def _facts(graph: Graph) -> list[str]:
    return [n.op.name for n in graph.nodes if n.facts and n.op.name != "param"]


def test_a_list_of_equal_blocks_is_a_loop() -> None:
    text = assert_kept(loads(TEXT))
    assert "for i in 0..3 {" in text
    assert text.count("block Unit(") == 1


def test_an_instance_that_is_applied_twice_is_made_once() -> None:
    source = """
from std.linear import linear
block Pair()(x: [N, C]) -> [N, C] {
    f = linear(C)
    return x -> f -> relu -> f
}
model M()(x: [N, 4]) -> [N, 4] {
    for i in 0..2 { x = x -> layer[i]: Pair() }
    return x
}
"""
    text = assert_kept(loads(source))
    assert "f = linear(" in text
    assert "for i in 0..2 {" in text


@pytest.mark.parametrize("name", ["ResNet18", "GPT2Small", "LSTMTagger"])
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.arch", write(load(name, **SMALL[name])))


def test_golden_imports(golden: Callable[[str, str], None]) -> None:
    golden("imports.arch", write(load("ResNet18", **SMALL["ResNet18"]), applied))


def test_a_deep_network_is_short() -> None:
    x = y = build.input("x", "[N, 4]")
    for number in range(2000):
        y = unit(y, block("Unit", f"layer.{number}"))
    assert write(graph([x], [y])).count("\n") < 15
