"""How scales learn: the gradient of `fake_quantize` by its scale, on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.autodiff import value_and_grad
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret
from architrave.testing import assert_backends_agree

X = np.array([[-9.0, -0.6, 0.1, 0.55, 7.0], [0.3, 0.2, -0.3, 20.0, -0.8]])
SCALES = np.array([[0.5], [0.25]])
UP = np.array([[1.0, 2.0, -3.0, 4.0, 0.5], [0.25, -1.0, 2.0, 1.5, -0.5]])


def network(**options: Any) -> Graph:
    """The sum of what is rounded times `UP`."""
    x, up = build.input("x", "[2, 5]"), build.input("up", "[2, 5]")
    scale = build.param("scale", "[2, 1]")
    return build.graph("net", [x, up], [build.sum(build.fake_quantize(x, scale, bits=4, **options) * up)])


def by_definition(gain: float = 1.0, clipped_only: bool = False) -> np.ndarray[Any, Any]:
    """Esser and others, equation 3, and Li and others, equation 5, in terms of the step."""
    exact = X / SCALES
    steps = np.rint(exact)
    between = np.zeros_like(X) if clipped_only else steps - exact
    slopes = np.where(steps < -8, -8, np.where(steps > 7, 7, between))
    return gain * (slopes * UP).sum(1, keepdims=True)


@pytest.mark.parametrize("options", [{}, {"gain": 0.125}, {"clipped_only": True}, {"gain": 0.5, "clipped_only": True}])
def test_the_gradient_by_the_scale_is_that_of_the_paper(options: dict[str, Any]) -> None:
    graph = network(**options)
    both = value_and_grad(graph, graph.weights)
    value, gradient = interpret(both, [X, UP], {"scale": SCALES}).outputs
    np.testing.assert_allclose(gradient, by_definition(**options))
    plain = interpret(network(), [X, UP], {"scale": SCALES}).outputs[0]
    assert value == plain


def test_options_of_learning_are_written_where_they_are_set() -> None:
    for backend in ("numpy", "torch", "jax"):
        text = architrave.compile(network(gain=0.125, clipped_only=True), backend).source
        assert "gain=0.125" in text
        assert "clipped_only=True" in text
        assert "gain=1" not in architrave.compile(network(), backend).source


def test_the_backends_agree_on_it() -> None:
    assert_backends_agree(network(gain=0.125, clipped_only=True), dtypes=["float64"])
