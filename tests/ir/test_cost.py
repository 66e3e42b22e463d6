"""What networks cost, against numbers that were published or counted by hand."""

import pytest

from architrave.ir import build, cost
from architrave.ir.dims import Size, symbol
from architrave.ir.graph import Graph, Value, make
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice, Mode, Scan, While
from architrave.ir.place import Place, marked
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType, TensorType
from tests.ir.graphs import fn

N, T = symbol("N"), symbol("T")
VECTOR = TensorType(DType.FLOAT, (N, 4))
SQUARE = TensorType(DType.FLOAT, (4, 4))


def conv(x: Value, out: int, kernel: int, stride: int, path: str) -> Value:
    """A convolution with "half" padding and no bias, and the batch normalization after it."""
    weight = build.param(f"{path}.weight", TensorType(DType.FLOAT, (out, x.shape[1], kernel, kernel)))
    y = build.conv(x, weight, stride=[stride] * 2, padding=[[kernel // 2] * 2] * 2)
    channels = TensorType(DType.FLOAT, (out,))
    statistics = [build.state(f"{path}.{name}", channels) for name in ("mean", "var")]
    return build.batch_norm(y, *statistics, *(build.param(f"{path}.{name}", channels) for name in ("scale", "shift")))


def bottleneck(x: Value, width: int, stride: int, path: str) -> Value:
    y = build.relu(conv(x, width, 1, 1, f"{path}.conv1"))
    y = build.relu(conv(y, width, 3, stride, f"{path}.conv2"))
    y = conv(y, 4 * width, 1, 1, f"{path}.conv3")
    same = stride == 1 and x.shape[1] == 4 * width
    return build.relu(y + (x if same else conv(x, 4 * width, 1, stride, f"{path}.shortcut")))


def resnet50() -> Graph:
    image = build.input("image", "f32[N, 3, 224, 224]")
    x = build.relu(conv(image, 64, 7, 2, "stem"))
    x = build.max_pool(x, kernel=[3, 3], stride=[2, 2], padding=[[1, 1], [1, 1]])
    for stage, depth in enumerate([3, 4, 6, 3]):
        for i in range(depth):
            with marked(place=Place(f"layer{stage}.{i}")):
                x = bottleneck(x, 64 * 2**stage, 2 if stage and not i else 1, f"layer{stage}.{i}")
    x = build.mean(x, axes=[2, 3])
    y = build.linear(x, build.param("fc.weight", "[1000, 2048]"), build.param("fc.bias", "[1000]"))
    return build.graph("resnet50", [image], [y])


def test_resnet50_costs_what_was_published() -> None:
    graph = resnet50()
    assert cost.parameters(graph) == 25_557_032
    assert cost.state(graph) == 53_120
    assert cost.multiply_adds(graph) == 4_089_184_256 * N
    assert cost.multiply_adds(graph, {"N": 1}) == 4_089_184_256
    assert cost.flops(graph, {"N": 2}) == 4 * 4_089_184_256
    assert cost.depth(graph) == 50
    places = cost.multiply_adds_by_place(graph, {"N": 1})
    assert places[""] == 4_089_184_256
    assert places["layer1"] == sum(places[f"layer1.{i}"] for i in range(4))  # type: ignore[misc]
    assert sum(cost.weight_sizes(graph).values()) == 25_557_032  # type: ignore[arg-type]


def test_what_does_not_run_costs_nothing() -> None:
    graph = resnet50()
    extra = build.param("unused", "[7]")
    wider = build.graph("g", graph.inputs, graph.outputs, weights=[*graph.weights, extra])
    assert cost.parameters(wider) == 25_557_032 + 7
    assert cost.multiply_adds(wider) == cost.multiply_adds(graph)


STEP = TensorType(DType.I64, ())
ONCE = fn(lambda x, w: [x @ w], VECTOR, SQUARE)
TWICE = fn(lambda x, w: [x @ w @ w], VECTOR, SQUARE)
POSITIVE = fn(lambda x, w: [build.any(x > 0)], VECTOR, SQUARE)
SCAN = Scan(fn(lambda step, x, w: [x @ w @ w], STEP, VECTOR, SQUARE), 1, 0, T)


def holding(op: Op) -> Graph:
    """A graph of one operator that holds graphs."""
    x = build.input("x", VECTOR)
    return build.graph("g", [x], make(op, (x, build.param("w", SQUARE))).outputs)


@pytest.mark.parametrize(
    ("op", "expected", "depth"),
    [
        (Mode(TWICE, ONCE), 16 * N, 1),
        (Choice("c", ("a", "b"), (TWICE, ONCE)), 32 * N, 2),
        (SCAN, 32 * N * T, 2),
        (While(POSITIVE, ONCE, carries=1, limit=5), 80 * N, 1),
    ],
    ids=lambda value: value.name if isinstance(value, Op) else "",
)
def test_graphs_inside_count_as_often_as_they_run(op: Op, expected: Size, depth: int) -> None:
    graph = holding(op)
    assert cost.multiply_adds(graph) == expected
    assert cost.depth(graph) == depth


def test_memory_of_a_chain() -> None:
    x = build.input("x", "[N, 8]")
    y = build.exp(build.exp(build.exp(x)))
    graph = build.graph("g", [x], [y])
    # The operand and the result of one operator are alive at once.
    assert cost.memory(graph, {"N": 10}) == cost.Memory(peak=2 * 320, total=4 * 320)
    assert cost.memory(graph, {"N": 10}, DType.F64).peak == 2 * 640
    with pytest.raises(ArchitraveError, match="E330"):
        cost.memory(graph)


def test_memory_holds_a_shortcut_until_it_is_used() -> None:
    x = build.input("x", "f32[10]")
    y = build.exp(build.exp(x)) + x
    assert cost.memory(build.graph("g", [x], [y])) == cost.Memory(peak=3 * 40, total=4 * 40)


def test_memory_of_a_loop_is_that_of_one_turn_at_a_time() -> None:
    few, many = (cost.memory(holding(SCAN), {"N": 10, "T": t}) for t in (2, 200))
    assert few.peak == many.peak
    assert many.total > 50 * few.total


def test_a_very_deep_network_is_counted() -> None:
    x = y = build.input("x", VECTOR)
    weight = build.param("w", SQUARE)
    for _ in range(10_000):
        y = y @ weight
    graph = build.graph("g", [x], [y])
    assert cost.depth(graph) == 10_000
    assert cost.multiply_adds(graph) == 160_000 * N
    assert cost.memory(graph, {"N": 1}).peak == 2 * 16
