"""Lee, Kim and Yoon, "NanoFlow: Scalable Normalizing Flows with Sublinear Parameter Complexity" (2020)."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.autodiff import grad
from architrave.ir.cost import parameters
from architrave.ir.graph import Graph

SMALL = {"channels": 4, "layers": 2, "mels": 3, "height": 4}
RNG = np.random.default_rng(0)
X, MEL = RNG.standard_normal((2, 1, 4, 3)), RNG.standard_normal((2, 3, 4, 3))


def drawn(graph: Graph) -> dict[str, np.ndarray]:
    """Weights that are not 0 anywhere."""
    rng = np.random.default_rng(1)
    return {w.op.path: 0.3 * rng.standard_normal(w.shape) for w in graph.weights}


def counts(steps: int) -> tuple[int, int, int]:
    """The parameters of a small network: all, of one embedding, of one projection."""
    graph = architrave.load("nanoflow", steps=steps, **SMALL)
    sizes = {w.op.path: w.type.size for w in graph.weights}
    embedding = sum(size for path, size in sizes.items() if path.startswith("flow.step.0.embedding"))
    projection = sum(size for path, size in sizes.items() if path.startswith("flow.step.0.projection"))
    return parameters(graph), embedding, projection


@pytest.mark.parametrize("steps", [1, 2, 5, 8])
def test_parameters_are_one_trunk_and_for_each_step_an_embedding_and_a_projection(steps):
    total, embedding, projection = counts(steps)
    one, *_ = counts(1)
    trunk = one - embedding - projection
    assert (embedding, projection) == (2 * 3 * 4, 2 * 4 + 2)
    assert total == trunk + steps * (embedding + projection)


def test_waveflow_shrinks_to_an_eighth():
    whole, shared = (parameters(architrave.load(name)) for name in ("waveflow", "nanoflow"))
    assert round(whole / 1e6, 1) == 22.3
    assert round(shared / 1e6, 1) == 2.8


def test_one_step_is_the_plain_flow():
    plain, shared = (architrave.load(name, steps=1, **SMALL) for name in ("waveflow", "nanoflow"))
    weights = drawn(plain)
    moved = {path.replace("step.0.network", "trunk"): w for path, w in weights.items()}
    held = {w.op.path: moved.get(w.op.path, np.zeros(w.shape)) for w in shared.weights}
    assert {path for path in held if path not in moved} == {f"flow.step.0.embedding_{n}" for n in ("gain", "shift")}
    for a, b in zip(
        architrave.interpret(plain, [X, MEL], weights).outputs,
        architrave.interpret(shared, [X, MEL], held).outputs,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["waveflow", "nanoflow"])
def test_the_inverse_gives_the_signal_back(name):
    forward, back = (architrave.load(name, steps=3, inverse=i, **SMALL) for i in (False, True))
    weights = drawn(forward)
    assert weights.keys() == drawn(back).keys()
    z, change = architrave.interpret(forward, [X, MEL], weights).outputs
    x, same = architrave.interpret(back, [z, MEL], weights).outputs
    assert np.abs(x - X).max() < 1e-4
    np.testing.assert_allclose(same, change, atol=1e-9)
    assert np.abs(z - X).max() > 0.1
    found, _ = architrave.compile(back, backend="numpy")(weights, z, MEL)
    assert np.abs(found - X).max() < 1e-4


def test_the_determinant_is_that_of_the_jacobian():
    graph = architrave.load("nanoflow", steps=2, **SMALL)
    weights = drawn(graph)
    z = graph.outputs[0]
    chosen = build.input("chosen", "[N, 1, 4, W]")
    scalar = build.graph("scalar", [*graph.inputs, chosen], [build.sum(z * chosen)], graph.weights)
    slope = grad(scalar, wrt=scalar.inputs[:1])
    units = np.eye(12).reshape(12, 1, 1, 4, 3)
    rows = [architrave.interpret(slope, [X[:1], MEL[:1], one], weights).outputs[0].ravel() for one in units]
    _, found = np.linalg.slogdet(np.array(rows))
    logdet = architrave.interpret(graph, [X[:1], MEL[:1]], weights).outputs[1]
    assert found == pytest.approx(logdet[0], abs=1e-9)
    assert abs(found) > 1e-3


def test_rows_depend_on_those_above_alone():
    graph = architrave.load("waveflow", steps=1, **SMALL)
    weights = drawn(graph)
    other = X.copy()
    other[:, :, 2] += 1
    one, two = (architrave.interpret(graph, [x, MEL], weights).outputs[0] for x in (X, other))
    # The rows come out turned around: the last one is the first.
    np.testing.assert_array_equal(one[:, :, 2:], two[:, :, 2:])
    assert not np.array_equal(one[:, :, 0], two[:, :, 0])


def test_a_flow_starts_as_the_identity():
    graph = architrave.load("nanoflow", steps=2, **SMALL)
    z, change = architrave.interpret(graph, [X, MEL], architrave.init(graph)).outputs
    np.testing.assert_array_equal(z, X)
    assert not change.any()
