"""The oracle: leaves, modes, loops, sizes, errors. The operators have tests of their own."""

import numpy as np
import pytest

from architrave.ir.dims import symbol
from architrave.ir.graph import Graph, Node, make
from architrave.ir.interpret import interpret
from architrave.ir.ops.control import CustomGrad, Mode, Scan, While
from architrave.ir.ops.leaves import Constant, Full, Initial, Param, State
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType, TensorType
from tests.ir.graphs import fn, leaf, running_max

N = symbol("N")


def test_one_graph_runs_in_both_modes() -> None:
    graph = running_max(features=3)
    x = np.arange(6.0).reshape(2, 3)
    weights = {"scale.max": np.array([1.0, 1.0, 1.0])}
    inference = interpret(graph, [x], weights)
    np.testing.assert_array_equal(inference.outputs[0], x - 1)
    assert inference.updates["scale.max"].tolist() == [1, 1, 1]
    training = interpret(graph, [x], weights, training=True)
    np.testing.assert_array_equal(training.outputs[0], x - x.max(0))
    np.testing.assert_array_equal(training.updates["scale.max"], 0.5 + 0.5 * x.max(0))


def test_results_are_rounded_to_their_types() -> None:
    x, half = leaf("x", ()), leaf("h", (), DType.F16)
    graph = Graph("g", (x, half), (x + 1.0, half + 1.0, half * half))
    outputs = interpret(graph, [0.1, np.float16(0.1)], dtype=np.float32).outputs
    assert [o.dtype for o in outputs] == [np.float32, np.float16, np.float16]
    assert outputs[2] == np.float16(float(np.float16(0.1)) ** 2)


def test_constants_hold_their_bytes() -> None:
    data = np.array([[1.5, -2.0]], "<f8").tobytes()
    value = make(Constant(TensorType(DType.FLOAT, (1, 2)), data), ()).outputs[0]
    assert interpret(Graph("g", (), (value,))).outputs[0].tolist() == [[1.5, -2.0]]


def test_sizes_come_from_the_inputs() -> None:
    x, y = leaf("x", (2 * N + 1, symbol("M") * N)), leaf("y", (N,))
    ones = make(Full(1.0, (N + 1,)), ()).outputs[0]
    graph = Graph("g", (x, y), (ones,))
    assert interpret(graph, [np.zeros((7, 6)), np.zeros(3)]).outputs[0].shape == (4,)
    for shapes in ([(8, 6), (3,)], [(7, 5), (3,)], [(7, 6), (4,)], [(7, 6), (3, 1)], [(7, 6)]):
        with pytest.raises(ArchitraveError, match="E51"):
            interpret(graph, [np.zeros(s) for s in shapes])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 4])
def test_scan_over_a_sequence(reverse: bool, length: int) -> None:
    vector = TensorType(DType.FLOAT, (2,))
    body = fn(lambda c, x, k: (c * k + x, c), vector, vector, TensorType(DType.FLOAT, ()))
    start, xs, k = leaf("c", (2,)), leaf("xs", (2, N)), leaf("k", ())
    loop = make(Scan(body, 1, 1, N, axis=1, reverse=reverse), (start, xs, k))
    graph = Graph("g", (start, xs, k), loop.outputs)
    sequence = np.arange(2.0 * length).reshape(2, length)
    last, emitted = interpret(graph, [np.ones(2), sequence, 0.5]).outputs
    carry, expected = np.ones(2), np.zeros((2, length))
    for t in reversed(range(length)) if reverse else range(length):
        expected[:, t] = carry
        carry = carry * 0.5 + sequence[:, t]
    np.testing.assert_array_equal(last, carry)
    np.testing.assert_array_equal(emitted, expected)


def test_scan_counts() -> None:
    step, total = TensorType(DType.I64, ()), TensorType(DType.I64, ())
    body = fn(lambda t, c: (c * 10 + t,), step, total)
    start = leaf("c", (), DType.I64)
    graph = Graph("g", (start,), make(Scan(body, 1, 0, 4), (start,)).outputs)
    assert interpret(graph, [7]).outputs[0] == 70123


@pytest.mark.parametrize(("limit", "expected"), [(100, 128.0), (3, 8.0), (0, 1.0)])
def test_while_stops_at_its_condition_or_limit(limit: int, expected: float) -> None:
    scalar = TensorType(DType.FLOAT, ())
    more, double = fn(lambda x, top: (x < top,), scalar, scalar), fn(lambda x, top: (x + x,), scalar, scalar)
    start, top = leaf("x", ()), leaf("top", ())
    graph = Graph("g", (start, top), make(While(more, double, 1, limit), (start, top)).outputs)
    assert interpret(graph, [1.0, 100.0]).outputs[0] == expected


def test_a_function_with_its_own_gradient_runs_forward() -> None:
    scalar = TensorType(DType.FLOAT, ())
    forward, backward = fn(lambda x: (x * x,), scalar), fn(lambda x, g: (g,), scalar, scalar)
    x = leaf("x", ())
    graph = Graph("g", (x,), make(CustomGrad(forward, backward, 1), (x,)).outputs)
    assert interpret(graph, [3.0]).outputs[0] == 9.0


def test_observe_sees_each_node_of_the_graph_once() -> None:
    graph = running_max(features=3)
    seen: list[Node] = []
    interpret(graph, [np.zeros((2, 3))], {"scale.max": np.zeros(3)}, observe=lambda node, _: seen.append(node))
    assert tuple(seen) == graph.nodes


def test_every_weight_that_does_not_fit_is_named() -> None:
    weights = [
        make(Param(path, TensorType(DType.FLOAT, (3,)), Initial("zeros")), ()).outputs[0] for path in ("a", "b", "c")
    ]
    graph = Graph("g", (), (), tuple(weights))
    with pytest.raises(ArchitraveError) as caught:
        interpret(graph, [], {"b": np.zeros((4,)), "c": np.zeros(3)})
    assert [d.code for d in caught.value.diagnostics] == ["E512", "E513"]


def test_depth_of_nesting_is_limited() -> None:
    scalar = TensorType(DType.FLOAT, ())
    graph = fn(lambda x: (x,), scalar)
    for _ in range(120):
        graph = fn(lambda x, inner=graph: make(Mode(inner, inner), (x,)).outputs, scalar)
    with pytest.raises(ArchitraveError, match="E514"):
        interpret(graph, [1.0])


def test_ten_thousand_layers() -> None:
    value = x = leaf("x", (2,))
    for _ in range(10_000):
        value = value + x
    assert interpret(Graph("deep", (x,), (value,)), [np.ones(2)]).outputs[0].tolist() == [10_001, 10_001]


def test_a_state_that_nothing_updates_is_not_among_the_updates() -> None:
    state = make(State("s", TensorType(DType.FLOAT, ()), Initial("zeros")), ()).outputs[0]
    graph = Graph("g", (), (state,), (state,))
    assert interpret(graph, [], {"s": 2.0}).updates == {}
