"""Gradients, fixed points and differential equations of the standard library, against what they are known to be."""

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret

Array = np.ndarray[Any, Any]
BACKENDS = ("numpy", "torch", "jax")
X = np.array([[0.5, -1.0, 2.0], [0.1, 0.3, -0.2]])
V = np.array([[1.0, 2.0, -1.0], [0.5, -0.5, 3.0]])
W = np.array([[0.3, -0.2, 0.1], [0.0, 0.25, -0.3], [-0.1, 0.2, 0.15]])


def network(body: str, imports: str, inputs: str = "x: [2, 3], v: [2, 3]") -> Graph:
    """A model with one output."""
    return architrave.loads(f"{imports}\nmodel M()({inputs}) {{\n{body}\n}}\n")


def value(graph: Graph, *inputs: Array, **weights: Array) -> Any:
    """The first output, which all backends must agree on."""
    first = interpret(graph, inputs, weights).outputs[0]
    for backend in BACKENDS:
        found = architrave.compile(graph, backend)(weights, *inputs)
        found = found[0] if isinstance(found, tuple) else found
        np.testing.assert_allclose(found, first, rtol=1e-10, atol=1e-12)
    return first


DERIVATIVES = {
    "gradient((a) => a ** 3, x)": 3 * X**2,
    "gradient((a) => gradient((b) => sin(b), a), x)": -np.sin(X),
    "jvp((a) => sin(a), x, v)": np.cos(X) * V,
    "jvp((a) => a * sum(a), x, v)": V * X.sum() + X * V.sum(),
    "jvp((a) => gradient((b) => b ** 4, a), x, v)": 12 * X**2 * V,
    "divergence_along((a) => a * a, x, v)": 2 * X * V**2,
    "vjp((a) => sum(a * a, axis = 1), x, sum(v, axis = 1))": 2 * X * V.sum(1, keepdims=True),
    "vjp((a) => (a * a, sin(a)), x, (v, x))": 2 * X * V + np.cos(X) * X,
}


@pytest.mark.parametrize("expression", DERIVATIVES)
def test_derivative(expression: str) -> None:
    graph = network(f"return {expression}", "from std.calculus import gradient, jvp, divergence_along")
    np.testing.assert_allclose(value(graph, X, V), DERIVATIVES[expression], rtol=1e-12, atol=1e-12)


def test_a_derivative_of_several_values_at_once() -> None:
    graph = network("(a, b) = vjp((p, q) => p * q, (x, v), 2)\nreturn a + 10 * b", "")
    np.testing.assert_allclose(value(graph, X, V), 2 * V + 20 * X, rtol=1e-12)


def test_a_gradient_penalty_trains_the_weights_that_made_it() -> None:
    """The penalty of WGAN-GP: a gradient by the input, differentiated by the weights."""
    body = "param w: [3] = zeros\nslope = gradient((a) => sum(a * a * w, axis = 1), x)\nreturn sum(slope * slope)"
    graph = network(body, "from std.calculus import gradient", "x: [2, 3]")
    w = np.array([1.0, -2.0, 0.5])
    found = interpret(with_gradients(graph, graph.weights), [X, np.array(1.0)], {"w": w}).outputs[1]
    np.testing.assert_allclose(found, (8 * X**2 * w).sum(0), rtol=1e-12)


FIXED_POINT = """
param w: [3, 3] = zeros
return fixed_point((z) => tanh(z @ w + x), zeros([2, 3]), tolerance = 1e-13, turns = 200)
"""


def test_a_fixed_point_and_its_implicit_gradient() -> None:
    graph = network(FIXED_POINT, "from std.implicit import fixed_point", "x: [2, 3]")
    z = value(graph, X, w=W)
    np.testing.assert_allclose(np.tanh(z @ W + X), z, atol=1e-12)
    both = with_gradients(graph)
    found = interpret(both, [X, V], {"w": W}).outputs[1:]
    slope = 1 - z**2
    # u solves u = g + u J, row by row; what reaches the argument of tanh is u * slope.
    u = np.stack([np.linalg.solve(np.eye(3) - W * s, g) for s, g in zip(slope, V, strict=True)])
    np.testing.assert_allclose(found[1], u * slope, rtol=1e-10)
    np.testing.assert_allclose(found[0], z.T @ (u * slope), rtol=1e-10)
    for backend in ("torch", "jax"):
        taken = architrave.compile(graph, backend).gradients({"w": W}, X, cotangents=[V])
        np.testing.assert_allclose(taken.inputs[0], found[1], rtol=1e-10)
        np.testing.assert_allclose(taken.params["w"], found[0], rtol=1e-10)


@pytest.mark.parametrize(("method", "tolerance"), [("dopri5", 5e-6), ("rk4", 1e-5)])
def test_the_solution_of_a_linear_equation(method: str, tolerance: float) -> None:
    body = f'return odeint((t, y) => y * v * cos(t), x, 0.0, 2.0, method = "{method}", steps = 40)'
    graph = network(body, "from std.ode import odeint")
    np.testing.assert_allclose(value(graph, X, V), X * np.exp(V * np.sin(2.0)), rtol=tolerance)


def test_time_may_run_backwards() -> None:
    graph = network("return odeint((t, y) => y * v, x, 1.0, 0.0)", "from std.ode import odeint")
    np.testing.assert_allclose(value(graph, X, V), X * np.exp(-V), rtol=1e-5)


def test_the_fourth_order() -> None:
    errors = []
    for steps in (8, 16):
        graph = network(f"return rk4((t, y) => y * v, x, steps = {steps})", "from std.ode import rk4")
        errors.append(np.abs(interpret(graph, [X, V], {}).outputs[0] - X * np.exp(V)).max())
    assert 12 < errors[0] / errors[1] < 20


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_backend_accepts_the_same_steps(dtype: str) -> None:
    body = "return dopri5((t, y) => tanh(y * v) - y * t, x, 0.0, 3.0, rtol = 1e-4, atol = 1e-5)"
    graph = network(body, "from std.ode import dopri5")
    given = [a.astype(dtype) for a in (X, V)]
    _, reached, steps = interpret(graph, [X, V], {}).outputs
    assert reached == 3.0
    assert steps > 5
    for backend in BACKENDS:
        _, found, taken = architrave.compile(graph, backend)({}, *given)
        assert (float(found), float(taken)) == (3.0, float(steps))


def test_too_few_steps_show_in_the_time_that_was_reached() -> None:
    graph = network("return dopri5((t, y) => y * v, x, max_steps = 3)", "from std.ode import dopri5")
    assert interpret(graph, [X, V], {}).outputs[1] < 1.0


def test_gradients_go_back_through_the_steps_that_were_taken() -> None:
    graph = network("return odeint((t, y) => y * v, x, rtol = 1e-9)", "from std.ode import odeint")
    both = with_gradients(graph)
    ones = np.ones_like(X)
    by_x, by_v = interpret(both, [X, V, ones], {}).outputs[1:]
    np.testing.assert_allclose(by_x, np.exp(V), rtol=1e-7)
    np.testing.assert_allclose(by_v, X * np.exp(V), rtol=1e-6)
    for backend in BACKENDS:
        found = architrave.compile(both, backend)({}, X, V, ones)
        np.testing.assert_allclose(found[1], by_x, rtol=1e-10)
        np.testing.assert_allclose(found[2], by_v, rtol=1e-10)
