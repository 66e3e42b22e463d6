"""What passes promise, on every standard network: the same function in float64, forward and backward."""

from collections.abc import Mapping

import numpy as np
import pytest

import architrave
from architrave.backends.agree.trial import Trial, trial
from architrave.ir import cost
from architrave.ir.autodiff import with_gradients
from architrave.ir.autodiff.fit import differentiable
from architrave.ir.interpret import interpret
from architrave.passes import Keeps, Pipeline, Transformed
from tests.stdlib.small import SMALL

TOLERANCE = 1e-10
PIPELINES = ("clean", "inference,hoist", "inference,reparam", "deploy")


@pytest.mark.parametrize("name", sorted(SMALL))
def test_exact_passes_keep_the_function_and_its_gradient(name: str) -> None:
    graph = architrave.load(name, **SMALL[name])
    drawn = trial(graph, None, 0, np.dtype(np.float64))
    plain = Pipeline.parse("inference").run(graph)
    wanted = both_ways(plain, drawn)
    # Weights that are computed from fewer numbers, or from more, are stored as what they are once they are hoisted.
    hoisted = Pipeline.parse("inference,hoist").run(graph).graph
    most = max(cost.parameters(graph), cost.parameters(hoisted))
    for text in PIPELINES:
        made = Pipeline.parse(text).run(graph)
        assert made.keeps is Keeps.EXACT
        inference = made if text != "clean" else Pipeline.parse("clean,inference").run(graph)
        assert_close(both_ways(inference, drawn), wanted, f"{text} of {name}")
        assert cost.parameters(made.graph) <= most
        assert cost.state(made.graph) <= cost.state(graph)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_cleaning_keeps_training(name: str) -> None:
    graph = architrave.load(name, **SMALL[name])
    drawn = trial(graph, None, 0, np.dtype(np.float64))
    cleaned = architrave.passes.apply(graph, "clean")
    wanted = interpret(graph, drawn.inputs, drawn.weights, training=True, key=drawn.key)
    found = interpret(cleaned.graph, drawn.inputs, cleaned.weights(drawn.weights), training=True, key=drawn.key)
    assert_close(dict(enumerate(found.outputs)), dict(enumerate(wanted.outputs)), name)
    assert_close(found.updates, wanted.updates, name)


def both_ways(made: Transformed, drawn: Trial) -> dict[object, np.ndarray]:
    """Outputs, and the gradients by float inputs of their sum."""
    weights = made.weights(drawn.weights)
    floats = [v for v in made.graph.inputs if differentiable(v.type)]
    results = interpret(made.graph, drawn.inputs, weights, key=drawn.key).outputs
    found: dict[object, np.ndarray] = dict(enumerate(results))
    if not floats:
        return found
    backward = with_gradients(made.graph, floats)
    flowing = [np.ones(r.shape) for r, v in zip(results, made.graph.outputs, strict=True) if differentiable(v.type)]
    gradients = interpret(backward, [*drawn.inputs, *flowing], weights, key=drawn.key).outputs[len(results) :]
    return found | {f"gradient {i}": g for i, g in enumerate(gradients)}


def assert_close(found: Mapping, wanted: Mapping, what: str) -> None:
    assert found.keys() == wanted.keys()
    for key, expected in wanted.items():
        scale = float(np.abs(expected).max(initial=0.0)) or 1.0
        np.testing.assert_allclose(found[key], expected, rtol=0, atol=TOLERANCE * scale, err_msg=f"{what}: {key}")
