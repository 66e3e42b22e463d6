"""What graphs promise: structural equality and hashes, order, the view for networkx, depth without recursion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.modules import load_text
from architrave.ir import build
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import interpret
from architrave.ir.place import Place, marked
from architrave.ir.rewrite import inline, rebuild
from architrave.ir.verify import verify


def mlp(depth: int, name: str = "x") -> Graph:
    x = y = build.input(name, "[N, 4]")
    for i in range(depth):
        with marked(place=Place(f"layer{i}")):
            y = y + build.relu(build.linear(y, build.param(f"layer{i}.weight", "[4, 4]")))
    return build.graph("MLP", [x], [y])


def test_equality_is_structural() -> None:
    assert mlp(3) == mlp(3, "other")
    assert hash(mlp(3)) == hash(mlp(3))
    assert mlp(3) != mlp(4)
    x = build.input("x", "[N, 4]")
    y = build.input("y", "[N, 4]")
    assert build.graph("G", [x, y], [x - y]) != build.graph("G", [x, y], [y - x])
    assert build.graph("G", [x], [build.exp(x)]) != build.graph("G", [x], [build.log(x)])


def test_nodes_come_operands_first_and_as_made() -> None:
    graph = mlp(5)
    seen: set[Value] = set()
    for node in graph.nodes:
        assert seen.issuperset(node.operands)
        seen.update(node.outputs)
    assert [n.serial for n in graph.nodes] == sorted(n.serial for n in graph.nodes)


def test_networkx_sees_each_operand() -> None:
    networkx = pytest.importorskip("networkx")
    x = build.input("x", "[N, 4]")
    graph = build.graph("Square", [x], [build.sum(x * x, axes=(1,))])
    view = graph.as_networkx()
    assert view.number_of_nodes() == len(graph.nodes) == 3
    assert view.number_of_edges() == 3
    (square,) = (n for n in view if n.op.name == "multiply")
    assert set(view[x.node][square]) == {0, 1}
    assert networkx.is_directed_acyclic_graph(view)
    assert networkx.immediate_dominators(view, x.node)[graph.outputs[0].node] is square


def test_ten_thousand_layers_need_no_recursion() -> None:
    graph = mlp(10_000)
    assert verify(graph) == mlp(10_000)
    assert len(rebuild(graph, lambda node, operands: None).nodes) == len(graph.nodes)


def test_inlining_and_rebuilding_keep_the_function() -> None:
    graph = mlp(3)
    x = build.input("x", "[N, 4]")
    again = build.graph("Again", [x], inline(graph, [x]))
    assert again == graph
    doubled = rebuild(graph, lambda node, operands: [operands[0] * 2] if node.op.name == "relu" else None)
    assert [n.op.name for n in doubled.nodes].count("relu") == 0


UNARY = ["relu", "tanh", "sigmoid", "exp", "abs", "negative", "round", "softmax", "cumsum", "flip", "silu"]
BINARY = ["add", "subtract", "multiply", "maximum", "minimum", "less", "matmul"]
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(UNARY), st.integers(0, 30)),
        st.tuples(st.sampled_from(BINARY), st.integers(0, 30), st.integers(0, 30)),
    ),
    min_size=1,
    max_size=30,
)


def random_graph(plan: list[tuple[str | int, ...]]) -> Graph:
    """A graph of square matrices: each step applies an operator to earlier values."""
    x = build.input("x", "[4, 4]")
    values: list[Value] = [x, build.param("w", "[4, 4]")]
    for name, *picks in plan:
        operands = [values[int(p) % len(values)] for p in picks]
        attributes = {"cumsum": {"axis": 1}, "flip": {"axes": (0,)}}.get(str(name), {})
        result = build.call(str(name), *operands, **attributes)
        values.append(build.where(result, 1.0, x) if name == "less" else result)
    return build.graph("Random", [x], values[-2:])


@given(steps)
def test_random_graphs_read_back_and_mean_the_same(plan: list[tuple[str | int, ...]]) -> None:
    graph = verify(random_graph(plan))
    (model,) = load_text(str(graph)).models.values()
    again = elaborate(model).graph
    assert again == graph
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 4, 4))
    first = interpret(graph, [x], {"w": w}).outputs
    second = interpret(again, [x], {"w": w}).outputs
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
