"""`parse(print(g)) == g`, for the standard library and for each kind of sub-graph."""

from __future__ import annotations

import pytest

from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.modules import load_standard, load_text, standard_names
from architrave.ir import build
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import Initial
from architrave.ir.place import Fact, marked
from architrave.ir.printer import print_graph

SMALL = {"DenseNet121": {"depths": [2, 2]}, "DenseNet169": {"depths": [1, 1]}, "EfficientNetB7": {"classes": 3}}
MODELS = [(module, name) for module in standard_names() for name in load_standard(f"std.{module}").models]

CONTROL = {
    "modes": """
        model M()(x: [N, 3]) -> [N, 3] {
            state seen: [3] = zeros
            if training { seen := seen + sum(x, axis = 0)
                y = x * 2 } else { y = x - seen }
            return y
        }""",
    "a static value that depends on the mode": """
        model M()(x: [N, 3]) -> [N, 3] {
            p = if training { 0.5 } else { 0.25 }
            return x * p
        }""",
    "scan": """
        model M()(x: [N, T, 3], y: [N, T, 3]) -> [N, T, 3] {
            scan (a) in x, b in y, axis = 1, reverse = true, carry (h = zeros([N, 3]), c = ones([N, 3])) {
                (h, c) = (c + a, h * b)
                emit h - c as hs
            }
            return hs + unsqueeze(c, 1)
        }""".replace("(a) in", "a in"),
    "counted scan over a symbolic number of steps": """
        model M()(x: [N, T]) -> [N, T] {
            scan t in 1..T, carry (h = x) { h = h + t }
            return h
        }""",
    "a state inside a scan": """
        model M()(x: [N, T, 3]) -> [N, 3] {
            state count: [3] = zeros
            scan x_t in x, axis = 1, carry (h = zeros([N, 3])) {
                count := count + sum(x_t, axis = 0)
                h = h + x_t * count
            }
            return h
        }""",
    "while": """
        model M()(x: [N, 3]) -> [N, 3] {
            while any(sum(x * x) < 10 and sum(x) != 0), carry (x = x), max = 7 { x = x * 2 }
            return x
        }""",
    "a gradient of its own": """
        fn spike(v: [*S], slope: float = 2.0) -> [*S] { return where(v >= 0, 1.0, 0.0) } grad (g) {
            return g / (1 + slope * abs(v)) ** 2
        }
        model M()(x: [N, 3]) -> [N, 3] = spike(x) + spike(x, slope = 3.0)
        """,
    "choices": """
        from std import conv2d, max_pool
        model M()(x: [N, 3, 8, 8]) -> [N, 3, 8, 8] {
            for i in 0..2 {
                x = x -> choice op[i] { conv: conv2d(3), pool: max_pool(3, stride = 1, padding = 1), skip: identity }
            }
            return choice out { once: x, twice: x + relu(x) }
        }""",
    "numbers and texts": """
        model M()(x: [2 * N, 3]) -> [2 * N, 3] {
            k = constant([[1.5, -inf, inf - inf]]) + constant([[1, 2, 3]], dtype = i32)
            param "odd.name.0" as w: [3] = constant([0.1, 0.2, 0.30000000000000004])
            @quant(weight = 4, note = "a \\"b\\" \\\\ c")
            y = x * k + w + full([3], -0.0)
            return pad(y, [[0, 0], [1, 1]], mode = "reflect")[:, 1:4]
        }""",
}


def read(text: str) -> Graph:
    (model,) = load_text(text).models.values()
    return elaborate(model, keep_choices=True).graph


@pytest.mark.parametrize(("module", "name"), MODELS, ids=[name for _, name in MODELS])
def test_standard_models_read_back(module: str, name: str) -> None:
    model = load_standard(f"std.{module}").models[name]
    graph = elaborate(model, SMALL.get(name)).graph
    assert read(print_graph(graph)) == graph


@pytest.mark.parametrize("name", CONTROL)
def test_control_flow_reads_back(name: str) -> None:
    graph = read(CONTROL[name])
    again = read(print_graph(graph))
    assert again == graph
    assert hash(again) == hash(graph)
    assert print_graph(again).count("\n") == print_graph(graph).count("\n")


def test_a_graph_built_in_python_reads_back_and_equals_its_text() -> None:
    x = build.input("x", "[N, 4]")
    w = build.param("head.weight", "[3, 4]", Initial("normal", (0.02, 0.0)))
    with marked(facts=(Fact("keep"),)):
        y = build.relu(build.linear(x, w))
    graph = build.graph("Small", [x], [y])
    text = """
        block linear()(x: [N, I]) -> [N, 3] { param weight: [3, I] = normal(0.02)
            return op.linear(x, weight) }
        model Small()(x: [N, 4]) -> [N, 3] { return x -> head: linear -> relu }
        """
    assert read(text) == graph
    assert read(print_graph(graph)) == graph
    assert "@keep" in print_graph(graph)


def test_hostile_names_stay_names() -> None:
    x = build.input('x"]; import os #', "[N, 4]")
    w = build.param('a".__class__\n', "[4]")
    graph = build.graph("M\nimport os", [x], [x * w])
    assert [n.op for n in read(print_graph(graph)).nodes] == [n.op for n in graph.nodes]
