"""Graphs of gradients are graphs: sound, readable, emitted by every backend, and differentiable again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.modules import load_text
from architrave.ir.autodiff import grad, value_and_grad, with_gradients
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.graph import Graph, Value
from architrave.ir.interpret import Result, interpret
from architrave.ir.ops.leaves import Param, State
from architrave.ir.source import ArchitraveError
from architrave.ir.types import DType
from architrave.ir.verify import verify

Array = np.ndarray[Any, Any]

NETWORKS = {
    "shared": """
model M()(x: [3, 4]) -> [3, 4] {
    param w: [4] = uniform(0.5, 1.0)
    y = tanh(x * w)
    z = y * y + exp(y)
    return z * y + z
}""",
    "one output twice": """
model M()(x: [4], w: [4]) -> ([4], [4], [4]) {
    y = sin(x * w)
    return (y, y, y * x)
}""",
    "results that nobody uses": """
model M()(x: [5, 4], w: [5, 4]) -> [5, 2] {
    (mu, variance) = moments(x * w, axes = [1])
    (left, right) = split(x / w, 2, axis = 1)
    unused = exp(left)
    return right * reshape(variance, [5, 1])
}""",
    "an output without a gradient": """
model M()(x: [5], w: [5]) -> (i64[], [5], bool[5]) {
    return (argmax(x * w, axis = 0), x * w * w, x > w)
}""",
    "an input that nothing depends on": """
model M()(x: [5], unused: [3], y: [5]) -> [5] {
    return x * x
}""",
    "broadcasting": """
model M()(x: [3, 1, 4], w: [2, 1], s: []) -> [3, 2, 4] {
    return x * w + s * w + x / s
}""",
    "integer path": """
model M()(table: [6, 4], ids: i64[3], x: [3, 4]) -> [3, 4] {
    rows = take(table, (ids * 2 + 1) % 6, axis = 0)
    count = cast(ids, float)
    return where(reshape(ids, [3, 1]) > 1, rows * x, x + reshape(count, [3, 1]) * rows)
}""",
    "updates": """
from std.norm import batch_norm
model M()(x: [6, 3]) -> [6, 3] {
    return x -> batch_norm -> tanh -> batch_norm
}""",
    "symbolic sizes": """
model M()(x: [N, T, 4]) -> [N, T, T] {
    param w: [4, 4] = uniform(-0.5, 0.5)
    y = softmax(x @ w @ transpose(x, [0, 2, 1]), axis = -1)
    return y / T + mean(y)
}""",
}


def network(text: str) -> Graph:
    """The graph of the one model of a text."""
    (model,) = load_text(text).models.values()
    return elaborate(model).graph


@dataclass(frozen=True)
class Given:
    """Weights and inputs, away from every kink."""

    weights: Mapping[str, Array]
    inputs: list[Array]

    @classmethod
    def drawn(cls, graph: Graph) -> "Given":
        rng = np.random.default_rng(0)
        sizes = {"N": 2, "T": 3}
        weights = {_path(w): rng.uniform(0.5, 1.0, w.shape) for w in graph.weights}
        inputs = []
        for value in graph.inputs:
            shape = [size if isinstance(size, int) else sizes[str(size)] for size in value.shape]
            inputs.append(rng.integers(0, 4, shape) if value.dtype is DType.I64 else rng.uniform(0.5, 1.0, shape))
        return cls(weights, inputs)

    def run(self, graph: Graph, *further: Array, training: bool = True) -> Result:
        return interpret(graph, [*self.inputs, *further], self.weights, training)

    def moved(self, direction: Sequence[Array], sources: Sequence[Value], graph: Graph, step: float) -> "Given":
        """Everything a step further along a direction, which has a part for each source."""
        by = dict(zip(sources, direction, strict=True))
        weights = {_path(w): self.weights[_path(w)] + step * by.get(w, 0.0) for w in graph.weights}
        inputs = [x + step * by[v] if v in by else x for x, v in zip(self.inputs, graph.inputs, strict=True)]
        return Given(weights, inputs)


def _path(weight: Value) -> str:
    assert isinstance(weight.op, Param | State)
    return weight.op.path


def sources(graph: Graph) -> list[Value]:
    """What a graph is differentiated by: params, then float inputs."""
    params = [w for w in graph.weights if isinstance(w.op, Param)]
    return [v for v in (*params, *graph.inputs) if differentiable(v.type)]


def cotangents(graph: Graph, given: Given) -> list[Array]:
    rng = np.random.default_rng(1)
    outputs = zip(graph.outputs, given.run(graph).outputs, strict=True)
    return [rng.normal(size=y.shape) for v, y in outputs if differentiable(v.type)]


def close(found: Array, wanted: Array, tolerance: float) -> None:
    """The same, beside the largest of the numbers."""
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * max(1.0, float(np.abs(wanted).max(initial=0))))


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_backend_gives_the_numbers_of_the_oracle(name: str, training: bool) -> None:
    graph = network(NETWORKS[name])
    given, both = Given.drawn(graph), with_gradients(graph)
    flowing = cotangents(graph, given)
    wanted = given.run(both, *flowing, training=training)
    assert wanted.updates.keys() == given.run(graph).updates.keys()
    for backend in ("numpy", "torch", "jax"):
        found = architrave.compile(both, backend).run(given.weights, *given.inputs, *flowing, training=training)
        for a, b in zip(found.outputs, wanted.outputs, strict=True):
            close(a, b, 1e-10)
        for path, value in wanted.updates.items():
            close(found.updates[path], value, 1e-10)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_along_a_direction_are_differences(name: str) -> None:
    graph = network(NETWORKS[name])
    given = Given.drawn(graph)
    flowing, both = cotangents(graph, given), with_gradients(graph)
    found = given.run(both, *flowing).outputs[len(graph.outputs) :]
    assert [g.shape for g in found] == [given_shape(given, v, graph) for v in sources(graph)]
    direction = directions(found)

    def total(step: float) -> float:
        outputs = given.moved(direction, sources(graph), graph, step).run(graph).outputs
        floats = [y for v, y in zip(graph.outputs, outputs, strict=True) if differentiable(v.type)]
        return sum(float(np.sum(y * c)) for y, c in zip(floats, flowing, strict=True))

    slope = sum(float(np.sum(g * d)) for g, d in zip(found, direction, strict=True))
    assert (total(1e-6) - total(-1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_hessian_times_a_vector_is_the_difference_of_gradients(name: str) -> None:
    graph = network(NETWORKS[name])
    given, by = Given.drawn(graph), sources(graph)
    flowing, both = cotangents(graph, given), with_gradients(graph)
    first = given.run(both, *flowing).outputs[len(graph.outputs) :]
    direction = directions(first)
    # What flows back to the gradients is the direction, and nothing to the outputs themselves.
    twice = verify(with_gradients(both, by))
    values = given.run(both, *flowing).outputs
    silent = [np.zeros_like(y) for v, y in zip(graph.outputs, values, strict=False) if differentiable(v.type)]
    found = given.run(twice, *flowing, *silent, *direction).outputs[len(both.outputs) :]

    def gradients(step: float) -> Sequence[Array]:
        return given.moved(direction, by, graph, step).run(both, *flowing).outputs[len(graph.outputs) :]

    for a, above, below in zip(found, gradients(1e-5), gradients(-1e-5), strict=True):
        close(a, (above - below) / 2e-5, 1e-7)


@pytest.mark.parametrize("name", NETWORKS)
def test_graphs_of_gradients_are_sound_and_read_back(name: str) -> None:
    graph = network(NETWORKS[name])
    for further in (with_gradients(graph), with_gradients(with_gradients(graph), sources(graph))):
        assert network(str(verify(further))) == further


def test_value_and_gradient_are_of_one_number() -> None:
    graph = network("model M()(x: [3], w: [3]) -> [] { return sum(x * x * w) }")
    given = Given.drawn(graph)
    x, w = given.inputs
    value, by_x, by_w = given.run(value_and_grad(graph)).outputs
    close(value, np.sum(x * x * w), 1e-15)
    close(by_x, 2 * x * w, 1e-15)
    close(by_w, x * x, 1e-15)
    (only,) = given.run(grad(graph, wrt=[graph.inputs[1]])).outputs
    close(only, x * x, 1e-15)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("model M()(x: [3]) -> [3] { return x * x }", "E371"),
        ("model M()(x: []) -> ([], []) { return (x, x * x) }", "E371"),
        ("model M()(x: [3]) -> i64[] { return argmax(x, axis = 0) }", "E371"),
    ],
)
def test_a_gradient_is_of_one_number(text: str, code: str) -> None:
    with pytest.raises(ArchitraveError) as raised:
        grad(network(text))
    assert raised.value.diagnostics[0].code == code


def test_a_gradient_is_by_floats_of_the_graph() -> None:
    graph = network("model M()(x: [3], i: i64[]) -> [] { return sum(x) * cast(i, float) }")
    other = network("model M()(x: [3]) -> [] { return sum(x) }")
    for wrt in (graph.inputs[1], other.inputs[0], graph.outputs[0]):
        with pytest.raises(ArchitraveError) as raised:
            grad(graph, wrt=[wrt])
        assert raised.value.diagnostics[0].code == "E370"


def directions(like: Sequence[Array]) -> list[Array]:
    rng = np.random.default_rng(2)
    return [rng.normal(size=g.shape) for g in like]


def given_shape(given: Given, value: Value, graph: Graph) -> tuple[int, ...]:
    if value in graph.inputs:
        return given.inputs[graph.inputs.index(value)].shape
    return given.weights[_path(value)].shape
