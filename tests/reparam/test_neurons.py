"""What papers say of neurons that spike, of splines on edges and of associative memories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.cost import parameters
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.passes import apply
from tests.reparam.blocks import Array, drawn, network, operators, run, value

RNG = np.random.default_rng(0)


# Spiking neurons


@pytest.mark.parametrize(("elementwise", "shape"), [("false", (4, 3, 2)), ("true", (4, 3, 2)), ("false", (5,))])
def test_membrane_norm_folds_into_the_threshold(elementwise: str, shape: tuple[int, ...]) -> None:
    sizes = ", ".join(map(str, shape))
    graph = network(f"x -> lif(normalized_fire(0.7, elementwise = {elementwise}))", f"x: [N, T, {sizes}]")
    folded = apply(graph, "inference,mpbn,invariant,hoist")
    weights, x = drawn(graph), 2 * RNG.normal(size=(8, 20, *shape))
    (gamma,) = (weight for path, weight in weights.items() if path.endswith("weight"))
    gamma[:3] = 0.0, 1.5, -1.5  # of the first, neurons always fire, or never do
    thresholds = folded.weights(weights)
    spikes = run(graph, weights, x).outputs[0]
    np.testing.assert_array_equal(run(folded.graph, thresholds, x).outputs[0], spikes)
    assert set(np.unique(spikes)) == {0.0, 1.0}
    assert 0.1 < spikes.mean() < 0.9
    assert not {"batch_norm", "sqrt", "rsqrt", "state"} & operators(folded.graph)
    assert {threshold.size for threshold in thresholds.values()} == {gamma.size}
    for backend in ("numpy", "torch", "jax"):
        pytest.importorskip(backend)
        np.testing.assert_array_equal(architrave.compile(graph, backend)(weights, x), spikes)
        np.testing.assert_array_equal(architrave.compile(folded.graph, backend)(thresholds, x), spikes)


def test_a_neuron_integrates_leaks_and_fires() -> None:
    x = np.array([[0.6, 0.6, 0.5, 2.0, 0.5, 0.9]])
    # The potentials are 0.6, 0.75, 0.6875, 2.171875, 0.5 (from rest) and 1.025.
    np.testing.assert_array_equal(value("x -> lif", x), [[0, 0, 0, 1, 0, 1]])


def test_a_spike_has_the_gradient_of_a_ramp() -> None:
    graph = network("x -> lif", "x: [1, 1, 4]")
    x = np.array([[[0.4, 0.6, 1.4, 1.6]]])
    found = interpret(with_gradients(graph), [x, np.ones_like(x)], {}).outputs[1]
    np.testing.assert_array_equal(found, [[[0, 1, 1, 0]]])


# KAN


@pytest.mark.parametrize("degree", range(1, 9))
def test_splines_by_recursion_and_by_a_matrix_are_the_same(degree: int) -> None:
    x = np.concatenate([RNG.uniform(-1, 1, 200), RNG.uniform(-5, 5, 100), [-1.0, -0.2, 0.6, 1.0, -100.0, 100.0]])
    graphs = [network(f"{kind}_basis(x, 5, {degree}, -1.0, 1.0)", f"x: [{x.size}]") for kind in ("recursive", "matrix")]
    recursive, matrix = (run(graph, {}, x).outputs[0] for graph in graphs)
    np.testing.assert_allclose(matrix, recursive, rtol=1e-10, atol=1e-10)
    inside = (x >= -1) & (x < 1)
    np.testing.assert_allclose(matrix[inside].sum(-1), 1, rtol=1e-12)
    assert (matrix >= -1e-12).all()
    assert (np.count_nonzero(matrix, -1) <= degree + 1).all()


def test_the_matrix_of_the_cubic_splines() -> None:
    psi = value("constant(spline_matrix(3)) + 0 * x", np.zeros((4, 4)))
    np.testing.assert_allclose(6 * psi, [[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]], atol=1e-15)


@pytest.mark.parametrize("degree", [1, 3, 8])
def test_layers_of_splines_are_the_same(degree: int) -> None:
    forms = [f"x -> kan_linear(3, 6, {degree}, -2.0, 2.0, {kind}_basis)" for kind in ("recursive", "matrix")]
    graphs = [network(form, "x: [N, 4]") for form in forms]
    weights, x = drawn(graphs[0]), RNG.normal(size=(50, 4))
    recursive, matrix = (run(graph, weights, x).outputs[0] for graph in graphs)
    np.testing.assert_allclose(matrix, recursive, rtol=1e-10, atol=1e-10)
    assert parameters(graphs[0]) == parameters(graphs[1]) == 4 * 3 * (1 + 6 + degree)


def longest_path(graph: Graph) -> int:
    found: dict[Any, int] = {}
    for node in graph.nodes:
        found[node] = 1 + max((found[operand.node] for operand in node.operands), default=0)
    return max(found.values())


def test_a_matrix_is_as_deep_for_every_degree() -> None:
    graphs = {
        k: [network(f"{kind}_basis(x, 5, {k}, -1.0, 1.0)") for kind in ("recursive", "matrix")] for k in (2, 4, 8)
    }
    recursive, matrix = zip(*(map(longest_path, pair) for pair in graphs.values()), strict=True)
    assert recursive[0] < recursive[1] < recursive[2]
    assert len(set(matrix)) == 1


# Hopfield networks


def separated(count: int = 6, width: int = 64) -> Array:
    """Orthogonal patterns of length 8."""
    return 8 * np.linalg.qr(RNG.normal(size=(width, count)))[0].T[None, None]


def test_a_step_is_attention() -> None:
    q, patterns = RNG.normal(size=(2, 3, 4, 16)), RNG.normal(size=(2, 3, 9, 16))
    found = value("hopfield_step(x, y, 0.25)", q, patterns)
    np.testing.assert_array_equal(found, value("attention(x, y, y)", q, patterns))
    layers = ("hopfield", "cross_attention")
    one, cross = (network(f"(x, y) -> m: {block}(2)", "x: [N, T, 4], y: [N, M, 6]") for block in layers)
    assert one == cross


@pytest.mark.parametrize("beta", [0.1, 1.0, 10.0])
def test_no_step_increases_the_energy(beta: float) -> None:
    q, patterns = RNG.normal(size=(2, 2, 5, 8)), RNG.normal(size=(2, 2, 6, 8))
    energies = []
    for _ in range(8):
        energies.append(value(f"hopfield_energy(x, y, {beta})", q, patterns))
        q = value(f"hopfield_step(x, y, {beta})", q, patterns)
    assert (np.diff(energies, axis=0) <= 1e-12).all()
    assert (energies[0] > energies[-1] + 1e-3).all()
    assert (np.array(energies) >= 0).all()


def test_without_beta_the_mean_is_retrieved() -> None:
    q, patterns = RNG.normal(size=(1, 1, 5, 8)), RNG.normal(size=(1, 1, 6, 8))
    found = value("hopfield_step(x, y, 1e-12)", q, patterns)
    np.testing.assert_allclose(found, np.broadcast_to(patterns.mean(2, keepdims=True), found.shape), atol=1e-10)


def test_separated_patterns_are_retrieved_in_one_step() -> None:
    patterns = separated()
    q = patterns + 0.3 * RNG.normal(size=patterns.shape)
    np.testing.assert_allclose(value("hopfield_step(x, y, 1.0)", q, patterns), patterns, atol=1e-6)


def test_steps_lead_to_a_fixed_point() -> None:
    q, patterns = RNG.normal(size=(1, 2, 5, 8)), RNG.normal(size=(1, 2, 6, 8))
    found = value("hopfield_retrieve(x, y, 0.3, 500, 1e-13)", q, patterns)
    np.testing.assert_allclose(value("hopfield_step(x, y, 0.3)", found, patterns), found, rtol=1e-11, atol=1e-11)
    twice = value("hopfield_step(hopfield_step(x, y, 0.3), y, 0.3)", q, patterns)
    np.testing.assert_array_equal(value("hopfield_retrieve(x, y, 0.3, 2)", q, patterns), twice)
