"""Batch normalization of membrane potentials in the threshold."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.autodiff import with_gradients
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.passes import apply
from tests.reparam.blocks import Array, drawn, network, operators

RNG = np.random.default_rng(0)
PASSES = "inference,mpbn,invariant,constants,clean,hoist,dead"

NETWORKS = {
    "channels of images": ("x -> lif(normalized_fire(0.7))", (4, 3, 2)),
    "each neuron": ("x -> lif(normalized_fire(0.7, elementwise = true))", (4, 3, 2)),
    "rows": ("x -> lif(normalized_fire(0.5))", (5,)),
    "two layers": ("x -> lif(normalized_fire(0.5)) -> linear(6) -> lif(normalized_fire(0.2, eps = 1e-3))", (5,)),
}


def given(name: str) -> tuple[Graph, dict[str, Array], Array]:
    """A network, weights with gammas of either sign and one that is zero, and an input."""
    body, shape = NETWORKS[name]
    graph = network(body, f"x: [N, T, {', '.join(map(str, shape))}]")
    weights = drawn(graph)
    for path in (path for path in weights if path.endswith("normalized_fire_0.weight")):
        weights[path][:3] = 0.0, -0.7, 0.9
    return graph, weights, 2 * RNG.normal(size=(6, 15, *shape))


@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_stay_the_same_bit_by_bit(name: str) -> None:
    graph, weights, x = given(name)
    folded = apply(graph, PASSES)
    new = folded.weights(weights)
    expected = interpret(graph, [x], weights).outputs[0]
    np.testing.assert_array_equal(interpret(folded.graph, [x], new).outputs[0], expected)
    assert 0.05 < expected.mean() < 0.95 or "layers" in name
    assert "batch_norm" not in operators(folded.graph)
    assert not any(path.endswith("running_var") for path in new)


@pytest.mark.parametrize("name", NETWORKS)
def test_surrogate_gradients_stay_the_same(name: str) -> None:
    graph, weights, x = given(name)
    folded = apply(graph, PASSES)
    given_gradients = RNG.normal(size=interpret(graph, [x], weights).outputs[0].shape)
    old, new = (
        interpret(with_gradients(g, g.inputs), [x, given_gradients], w).outputs[1]
        for g, w in ((apply(graph, "inference").graph, weights), (folded.graph, folded.weights(weights)))
    )
    np.testing.assert_allclose(new, old, rtol=1e-10, atol=1e-10)
    assert old.any()


def test_thresholds_are_weights_of_one_number_for_each_neuron() -> None:
    graph, weights, _ = given("each neuron")
    folded = apply(graph, PASSES)
    shapes = {path: array.shape for path, array in folded.weights(weights).items()}
    assert len(shapes) == 2
    assert all(np.prod(shape) == 4 * 3 * 2 for shape in shapes.values())


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_backends_spike_alike(backend: str) -> None:
    pytest.importorskip(backend)
    graph, weights, x = given("channels of images")
    folded = apply(graph, PASSES)
    expected = interpret(graph, [x], weights).outputs[0]
    found = architrave.compile(folded.graph, backend)(folded.weights(weights), x)
    np.testing.assert_array_equal(found, expected)


TURNED = {"greater": "less", "greater_equal": "less_equal", "less": "greater", "less_equal": "greater_equal"}


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("swapped", [True, False])
@pytest.mark.parametrize("comparison", TURNED)
def test_bare_comparisons_are_folded_too(comparison: str, swapped: bool, affine: bool) -> None:
    x = build.input("x", "[8, 5, 6]")
    scale = [build.param(name, "[5]") for name in ("gamma", "beta")] * affine
    normed = build.batch_norm(x, build.state("mean", "[5]"), build.state("variance", "[5]"), *scale)
    compare = getattr(build, comparison)
    fires = compare(0.3, normed + 0.1) if swapped else compare(normed - 0.1, 0.3)
    graph = build.graph("fire", [x], [fires])
    weights = {
        "gamma": np.array([-1.5, 0.0, 0.0, 1e-3, 2.0]),
        "beta": np.array([0.1, 0.35, 0.5, 0.4, 0.0]),
        "mean": RNG.normal(size=5),
        "variance": np.exp(RNG.normal(size=5)),
    }
    folded = apply(graph, "mpbn,constants,clean,hoist")
    data = 3 * RNG.normal(size=(8, 5, 6))
    expected = interpret(graph, [data], weights).outputs[0]
    np.testing.assert_array_equal(interpret(folded.graph, [data], folded.weights(weights)).outputs[0], expected)
    found = operators(folded.graph) - {"input", "param", "multiply"}
    assert found == {TURNED[comparison] if swapped else comparison}


def test_a_norm_that_is_used_elsewhere_stays() -> None:
    x = build.input("x", "[8, 5]")
    normed = build.batch_norm(x, build.state("mean", "[5]"), build.state("variance", "[5]"))
    shared = apply(build.graph("shared", [x], [build.greater(normed, 0.5), normed * 2.0]), "mpbn")
    normed = build.batch_norm(x, build.state("mean", "[5]"), build.state("variance", "[5]"))
    moving = apply(build.graph("moving", [x], [build.greater(normed, x)]), "mpbn")
    for result, reason in ((shared, "another user"), (moving, "neither one number")):
        assert "batch_norm" in operators(result.graph)
        (entry,) = result.journal.declined
        assert reason in str(entry)
