"""Gradients through modes, loops and functions with gradients of their own: against central differences, in float64."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.dsl.elaborate.model import elaborate
from architrave.dsl.modules import load_text
from architrave.ir.autodiff import with_gradients
from architrave.ir.choice import decide
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.ir.verify import verify

Array = np.ndarray[Any, Any]

NETWORKS = {
    "mode": """
model M()(x: [3, 4], w: [4]) -> [3, 4] {
    if training { y = x * w * w } else { y = x + w }
    return y * x
}""",
    "sequence": """
model M()(x: [3, 5, 4], w: [4], h0: [3, 4]) -> ([3, 5, 4], [3, 4]) {
    scan t in x, axis = 1, carry (h = h0) {
        h = h * w + t * h
        emit h * t as hs
    }
    return (hs, h)
}""",
    "count": """
model M()(x: [3], w: [3]) -> ([4, 3], [3]) {
    scan t in 0..4, carry (h = x) {
        h = h * w + t * 0.5
        emit h as hs
    }
    return (hs, h)
}""",
    "reverse": """
model M()(x: [5, 4], w: [4], h: [4]) -> ([5, 4], [4]) {
    scan t in x, axis = 0, reverse = true, carry (h = h, s = 1.0) {
        h = h * w * 0.5 + t * s
        s = s + mean(h) / 4
        emit h as hs
    }
    return (hs, h * s)
}""",
    "integer carry": """
model M()(x: [4], w: [4]) -> [4] {
    n = cast(zeros([]), i64)
    scan t in x, axis = 0, carry (h = w, n = n) {
        h = h * t + cast(n, float)
        n = n + 1
    }
    return h
}""",
    "nothing carried": """
model M()(x: [3, 4], w: [4]) -> [3, 4] {
    scan t in x, axis = 0 {
        emit t * t * w as y
    }
    return y
}""",
    "data-dependent while": """
model M()(x: [4], w: [4]) -> [4] {
    while sum(y * y) < 30.0, carry (y = x), max = 12 {
        y = y * w + y * 1.5
    }
    return y
}""",
    "while that never runs": """
model M()(x: [4], w: [4]) -> [4] {
    while sum(y) > 100.0, carry (y = x * x), max = 3 {
        y = y * w
    }
    return y * w
}""",
    "scan in scan": """
model M()(x: [3, 4], w: [4]) -> [4] {
    scan t in x, axis = 0, carry (h = w) {
        scan k in 0..3, carry (g = h) {
            g = g * t + w
        }
        h = g * h / 8
    }
    return h
}""",
    "mode in while in scan": """
model M()(x: [2, 3], w: [3]) -> [3] {
    scan t in x, axis = 0, carry (h = w) {
        while sum(h) < 6.0, carry (h = h), max = 5 {
            if training { h = h * 1.5 + t } else { h = h + t * w }
        }
        h = h * t
    }
    return h
}""",
}


def network(text: str) -> Graph:
    """The graph of the one model of a text."""
    (model,) = load_text(text).models.values()
    return elaborate(model).graph


def drawn(graph: Graph, seed: int = 0) -> list[Array]:
    """Values away from every kink."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(0.5, 1.0, [int(s) for s in v.shape]) for v in graph.inputs]  # type: ignore[arg-type]


def weighted(graph: Graph, cotangents: Sequence[Array], training: bool) -> Callable[[Sequence[Array]], float]:
    """The sum of the outputs times the cotangents, as a function of the inputs."""

    def total(inputs: Sequence[Array]) -> float:
        outputs = interpret(graph, inputs, {}, training).outputs
        return float(sum((y * g).sum() for y, g in zip(outputs, cotangents, strict=True)))

    return total


def slopes(function: Callable[[Sequence[Array]], float], inputs: Sequence[Array], step: float = 1e-6) -> list[Array]:
    """Central differences by every element of every input."""
    found = []
    for i, x in enumerate(inputs):
        slope = np.zeros_like(x)
        for place in np.ndindex(x.shape):
            moved = np.zeros_like(x)
            moved[place] = step
            above, below = ([*inputs[:i], x + sign * moved, *inputs[i + 1 :]] for sign in (1, -1))
            slope[place] = (function(above) - function(below)) / (2 * step)
        found.append(slope)
    return found


def differentiated(graph: Graph, inputs: Sequence[Array], training: bool) -> tuple[Graph, list[Array], Sequence[Array]]:
    """The graph with its gradients, its inputs with cotangents, and the gradients, which are the slopes."""
    outputs = interpret(graph, inputs, {}, training).outputs
    rng = np.random.default_rng(1)
    cotangents = [rng.normal(size=y.shape) for y in outputs]
    both = with_gradients(graph)
    verify(both)
    found = interpret(both, [*inputs, *cotangents], {}, training).outputs[len(outputs) :]
    for a, b in zip(found, slopes(weighted(graph, cotangents, training), inputs), strict=True):
        close(a, b, 1e-6)
    return both, [*inputs, *cotangents], found


def close(found: Array, wanted: Array, tolerance: float) -> None:
    """The same, beside the largest of the numbers."""
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * max(1.0, float(np.abs(wanted).max(initial=0))))


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_slopes_on_the_oracle_and_the_same_on_every_backend(name: str, training: bool) -> None:
    graph = network(NETWORKS[name])
    both, inputs, found = differentiated(graph, drawn(graph), training)
    for backend in ("numpy", "torch", "jax"):
        results = architrave.compile(both, backend)({}, *inputs, training=training)
        for a, b in zip(results[len(graph.outputs) :], found, strict=True):
            close(np.asarray(a), b, 1e-10)


@pytest.mark.parametrize("name", NETWORKS)
def test_graphs_of_gradients_read_back(name: str) -> None:
    graph = with_gradients(network(NETWORKS[name]))
    assert network(str(graph)) == graph


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_can_be_differentiated_again(name: str) -> None:
    graph = network(NETWORKS[name])
    both, inputs, _ = differentiated(graph, drawn(graph), training=True)
    differentiated(both, inputs, training=True)


STRAIGHT_THROUGH = """
fn step(x: [*S], scale: [*S]) -> [*S] {
    return where(x > 0.7, 1.0, 0.0) * scale
} grad (g) {
    return (g * x, g * 3)
}

model M()(x: [4], s: [4]) -> [4] {
    return step(x * x, s)
}"""


def test_a_gradient_of_ones_own_is_obeyed() -> None:
    graph = network(STRAIGHT_THROUGH)
    x, scale, g = (np.array(v, dtype=float) for v in ([0.5, 0.9, -1, 2], [1, 2, 3, 4], [1, -1, 2, 0.5]))
    both = with_gradients(graph)
    found = interpret(both, [x, scale, g], {}).outputs
    np.testing.assert_allclose(found[1], g * x * x * 2 * x, rtol=1e-15)
    np.testing.assert_allclose(found[2], 3 * g, rtol=1e-15)
    for backend in ("torch", "jax"):
        taken = architrave.compile(graph, backend).gradients({}, x, scale, cotangents=[g])
        for a, b in zip(taken.inputs, found[1:], strict=True):
            close(np.asarray(a), b, 1e-12)


def test_an_open_choice_is_differentiated_alternative_by_alternative() -> None:
    text = """
model M()(x: [4], w: [4]) -> [4] {
    y = choice how { square: x * x * w, cube: x * x * x, plain: w }
    return y * w
}"""
    (model,) = load_text(text).models.values()
    open_graph = with_gradients(elaborate(model, keep_choices=True).graph)
    for label in ("square", "cube", "plain"):
        graph = elaborate(model, decisions={"how": label}).graph
        _, inputs, found = differentiated(graph, drawn(graph), training=False)
        taken = interpret(decide(open_graph, {"how": label}), inputs, {}).outputs[1:]
        for a, b in zip(taken, found, strict=True):
            close(a, b, 1e-12)
