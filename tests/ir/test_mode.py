"""Choosing a mode, taking decisions, binding sizes: in the graph and in the graphs inside it."""

import numpy as np
import pytest

from architrave.ir.bind import bind, sizes_of
from architrave.ir.choice import choices, decide
from architrave.ir.dims import symbol
from architrave.ir.graph import Graph, make
from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.ir.mode import specialize
from architrave.ir.nested import innermost_first
from architrave.ir.ops.control import Choice, Mode, Scan, While
from architrave.ir.ops.leaves import Full
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType, TensorType
from architrave.models import loads
from tests.ir.graphs import fn, leaf, running_max

SCALAR = TensorType(DType.FLOAT, ())


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def test_specializing_leaves_one_side_and_keeps_the_weights() -> None:
    graph = running_max(features=3)
    training, inference = specialize(graph, True), specialize(graph, False)
    assert "mode" not in ops(training) + ops(inference)
    assert "max" not in ops(inference)
    assert len(training.updates) == 1
    assert inference.updates == ()
    assert inference.weights == training.weights == graph.weights
    assert specialize(inference, True) is inference
    x, weights = np.arange(6.0).reshape(2, 3), {"scale.max": np.ones(3)}
    for mode, one in ((True, training), (False, inference)):
        for dead in (True, False):
            np.testing.assert_array_equal(
                interpret(one, [x], weights, dead).outputs, interpret(graph, [x], weights, mode).outputs
            )


def test_modes_inside_other_graphs() -> None:
    mode = Mode(fn(lambda x: (x + x,), SCALAR), fn(lambda x: (x * x,), SCALAR))
    body = fn(lambda step, x: make(mode, (x,)).outputs, TensorType(DType.I64, ()), SCALAR)
    x = leaf("x", ())
    graph = Graph("g", (x,), make(Scan(body, 1, 0, 2), (x,)).outputs)
    for training, expected in ((True, 12.0), (False, 81.0)):
        one = specialize(graph, training)
        assert not any("mode" in ops(inner) for inner in innermost_first(one))
        assert interpret(one, [3.0]).outputs[0] == interpret(graph, [3.0], training=training).outputs[0] == expected


COUNTER = """
block counted()(x: [N]) -> [N] {
    state seen: [] = zeros
    state other: [] = ones
    if training {
        seen := seen + 1
    }
    return x + seen * other
}
model M()(x: [N, T]) -> [N, T] {
    count = counted()
    LOOP
}
"""
LOOPS = {
    "scan": """
    scan x_t in x, axis = 1, carry (h = zeros([N])) {
        h = count(x_t) + h
        emit h as hs
    }
    return hs""",
    "scan of a counter": """
    y = x
    scan i in 0..3, carry (y = y, kept = x) {
        scan y_t in y, axis = 1 {
            emit count(y_t) + cast(i, float) as inner
        }
        y = inner + kept
    }
    return y""",
    "while": """
    y = x
    while sum(y) < 100, carry (kept = x, y = y), max = 5 {
        y = y + kept + unsqueeze(count(sum(y, axis = 1)), 1)
    }
    return y""",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_in_inference_no_loop_carries_a_state(loop: str) -> None:
    graph = loads(COUNTER.replace("LOOP", LOOPS[loop]))
    training, inference = specialize(graph, True), specialize(graph, False)
    assert len(training.updates) == 1
    assert inference.updates == ()
    x, weights = np.arange(1.0, 7.0).reshape(2, 3), init(graph, dtype=np.float64)
    weights[next(path for path in weights if path.endswith("seen"))] = np.array(0.25)
    for mode, one in ((True, training), (False, inference)):
        wanted, found = (interpret(g, [x], weights, mode) for g in (graph, one))
        np.testing.assert_array_equal(found.outputs, wanted.outputs)
        assert all(wanted.updates[path] == value for path, value in found.updates.items())
    carried = [n.op.carries for g in innermost_first(inference) for n in g.nodes if isinstance(n.op, Scan | While)]
    assert carried == {"scan": [1], "scan of a counter": [0, 1], "while": [1]}[loop]


def test_deep_nesting_needs_no_recursion() -> None:
    graph = fn(lambda x: (x + x,), SCALAR)
    for _ in range(3000):
        graph = fn(lambda x, inner=graph: make(Mode(inner, inner), (x,)).outputs, SCALAR)
    assert len(innermost_first(graph)) == 3001


def test_a_shared_inner_graph_is_rebuilt_once() -> None:
    graph = fn(lambda x: (x + x,), SCALAR)
    for _ in range(60):
        both = Mode(graph, graph)
        graph = fn(lambda x, both=both: make(both, make(both, (x,)).outputs).outputs, SCALAR)
    assert len(innermost_first(graph)) == 61


def space() -> Graph:
    """`outer`: double or a choice `inner` between square and identity."""
    inner = Choice("inner", ("square", "skip"), (fn(lambda x: (x * x,), SCALAR), fn(lambda x: (x,), SCALAR)))
    outer = Choice(
        "outer", ("double", "more"), (fn(lambda x: (x + x,), SCALAR), fn(lambda x: make(inner, (x,)).outputs, SCALAR))
    )
    x = leaf("x", ())
    return Graph("g", (x,), make(outer, (x,)).outputs)


def test_choices_are_listed_and_taken() -> None:
    graph = space()
    assert choices(graph) == {"outer": ("double", "more"), "inner": ("square", "skip")}
    assert interpret(graph, [3.0]).outputs[0] == 6
    assert interpret(decide(graph, {"outer": "more"}), [3.0]).outputs[0] == 9
    member = decide(graph, {"outer": "more", "inner": "skip"})
    assert choices(member) == {}
    assert interpret(member, [3.0]).outputs[0] == 3
    assert choices(decide(graph, {"inner": "skip"})) == {"outer": ("double", "more")}


@pytest.mark.parametrize(
    ("decisions", "says"),
    [({"outre": "more"}, "did you mean `outer`"), ({"outer": "mroe"}, "one of double, more")],
)
def test_decisions_that_are_not_there(decisions: dict[str, str], says: str) -> None:
    with pytest.raises(ArchitraveError, match=says):
        decide(space(), decisions)


def test_binding_reaches_types_attributes_and_inner_graphs() -> None:
    n, m = symbol("N"), symbol("M")
    row = TensorType(DType.FLOAT, (m,))
    body = fn(lambda c, x: (c + x + make(Full(1.0, (m,)), ()).outputs[0],), row, row)
    x, start = leaf("x", (n, m)), leaf("c", (m,))
    graph = Graph("g", (x, start), make(Scan(body, 1, 1, n), (start, x)).outputs)
    assert sizes_of(graph, [(2, 3), (3,)]) == {"N": 2, "M": 3}
    bound = bind(graph, {"N": 2, "M": 3})
    assert not any(symbol_ for inner in innermost_first(bound) for symbol_ in inner.symbols)
    inputs = [np.ones((2, 3)), np.zeros(3)]
    assert interpret(bound, inputs).outputs[0].tolist() == interpret(graph, inputs).outputs[0].tolist() == [4, 4, 4]
    partly = bind(graph, {"N": 2})
    assert partly.symbols == ("M",)
    assert bind(bound, {"N": 5}) is bound
