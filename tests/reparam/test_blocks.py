"""Blocks of the standard library that are re-parameterized: what their papers say of them, and that backends agree."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.backends.agree.verification import verify
from architrave.ir.autodiff import with_gradients
from architrave.ir.cost import depth, multiply_adds, parameters
from architrave.ir.graph import Graph
from architrave.ir.interpret import Result, interpret
from architrave.ir.mode import specialize
from architrave.ir.nested import rebuild_nested

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)

IMPORTS = """
from std.attention import attention, cross_attention, linear_attention, simplified_linear_attention
from std.combine import mlp
from std.conv import conv2d
from std.hopfield import hopfield, hopfield_energy, hopfield_layer, hopfield_pooling, hopfield_retrieve, hopfield_step
from std.kan import kan_linear, matrix_basis, recursive_basis, spline_matrix
from std.linear import linear
from std.norm import crms_norm, layer_norm, progressive_norm, rep_norm, rms_norm, scheduled_norm, unified_norm
from std.repmlp import repmlp
from std.residual import residual_stack, rezero, rezero_transformer_layer
from std.scalecrafter import damped_guidance, redilated_conv2d
from std.spiking import lif, normalized_fire
"""


def network(body: str, inputs: str = "x: [N, 4]") -> Graph:
    return architrave.loads(f"{IMPORTS}\nmodel M()({inputs}) = {body}\n")


def drawn(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Random weights; what a name calls a variance or squares is positive."""
    rng = np.random.default_rng(seed)
    found = {path: rng.normal(size=array.shape) for path, array in architrave.init(graph).items()}
    return {path: np.exp(a) if path.endswith(("_var", "square", "squares")) else a for path, a in found.items()}


def run(graph: Graph, weights: dict[str, Array], *inputs: Array, training: bool = False) -> Result:
    return interpret(graph, inputs, weights, training)


def value(body: str, *inputs: Array, weights: dict[str, Array] | None = None, training: bool = False) -> Array:
    """The first output of a network of `[N, ...]` inputs, which are called x, y and z."""
    named = zip("xyz", inputs, strict=False)
    graph = network(body, ", ".join(f"{name}: [{', '.join(map(str, a.shape))}]" for name, a in named))
    return run(graph, weights or {}, *inputs, training=training).outputs[0]


def operators(graph: Graph, training: bool = False) -> set[str]:
    """The names of the operators that a mode of a network uses, in loops, too."""
    found: set[str] = set()
    rebuild_nested(specialize(graph, training), lambda node, op, operands: found.add(op.name))
    return found


AGREEING = {
    "repmlp": ("x -> repmlp(6, 2, groups = 2)", "x: [N, 4, 4, 6]"),
    "repmlp, folded": ("x -> repmlp(3, 2, [1, 3, 5], reduction = 2, folded = true)", "x: [N, 2, 4, 2]"),
    "mpbn": ("3 * x -> lif(normalized_fire(0.5)) -> linear(2)", "x: [N, T, 4]"),
    "mpbn, folded": ("3 * x -> lif(normalized_fire(elementwise = true, folded = true)) -> lif", "x: [N, 3, 2, 3]"),
    "slab": ("x -> scheduled_norm(10) -> simplified_linear_attention(2, 3, 3) -> rep_norm", "x: [N, 6, 4]"),
    "rezero": ("x -> rezero(mlp(5)) -> rezero_transformer_layer(2, 8, dropout = 0.1)", "x: [N, T, 4]"),
    "matrixkan": ("x -> kan_linear(3) -> kan_linear(2, 4, 5, basis = recursive_basis)", "x: [N, 4]"),
    "shallow": ("x -> residual_stack([mlp(3), mlp(5)], parallel = true) -> residual_stack([mlp(2)])", "x: [N, 4]"),
    "unified": ("x -> unified_norm -> linear(5) -> unified_norm(2, gap = 1.01)", "x: [N, T, 4]"),
    "hopfield": ("(x, x) -> hopfield(2, steps = 3) -> hopfield_layer(5, 2) -> hopfield_pooling(3)", "x: [N, T, 4]"),
    "scalecrafter": ("x -> redilated_conv2d(3, 3, 2) -> redilated_conv2d(2, 3, 1.5)", "x: [N, 2, 6, 4]"),
    "crms": ("x -> crms_norm", "x: [N, 4]"),
}


@pytest.mark.parametrize("name", AGREEING)
def test_backends_agree(name: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    report = verify(network(*AGREEING[name]))
    assert report.ok, str(report)


# RepMLP


@pytest.mark.parametrize(("groups", "kernels"), [(1, [1, 3]), (2, [3]), (4, [1, 3, 5])])
def test_repmlp_folds_into_one_matrix(groups: int, kernels: list[int]) -> None:
    bodies = [f"x -> repmlp(8, 4, {kernels}, {groups}{more})" for more in ("", ", folded = true")]
    plain, folded = (network(body, "x: [N, 4, 8, 4]") for body in bodies)
    weights, x = drawn(plain), RNG.normal(size=(3, 4, 8, 4))
    assert architrave.init(plain).keys() == architrave.init(folded).keys()
    expected, found = (run(graph, weights, x) for graph in (plain, folded))
    np.testing.assert_allclose(found.outputs[0], expected.outputs[0], rtol=1e-10, atol=1e-10)
    expected, found = (run(graph, weights, x, training=True) for graph in (plain, folded))
    np.testing.assert_array_equal(found.outputs[0], expected.outputs[0])
    assert found.updates.keys() == expected.updates.keys()


def test_the_matrix_of_a_convolution_is_zero_where_the_kernel_does_not_reach() -> None:
    (n, k, h) = (2, 3, 5)
    body = f"""as_dense(reshape(eye({n * h * h}), [{n * h * h}, {n}, {h}, {h}]), conv2d({k}, 3, bias = false))"""
    graph = architrave.loads(f"from std.repmlp import as_dense\n{IMPORTS}\nmodel M()(x: [1]) = {body}\n")
    dense = run(graph, drawn(graph), np.zeros(1)).outputs[0].reshape(n, h, h, k, h, h)
    rows, columns = np.indices((h, h)).reshape(2, h * h)
    near = (abs(rows[:, None] - rows) <= 1) & (abs(columns[:, None] - columns) <= 1)
    reached = (dense != 0).any((0, 3)).reshape(h * h, h * h)
    np.testing.assert_array_equal(reached, near)


# Spiking neurons


@pytest.mark.parametrize(("elementwise", "shape"), [(False, "4, 3, 2"), (True, "4, 3, 2"), (False, "5")])
def test_membrane_norm_folds_into_the_threshold(elementwise: bool, shape: str) -> None:
    options = f"0.7, elementwise = {str(elementwise).lower()}"
    graphs = [
        network(f"x -> lif(normalized_fire({options}{more}))", f"x: [N, T, {shape}]")
        for more in ("", ", folded = true")
    ]
    weights = drawn(graphs[0])
    (path,) = (path for path in weights if path.endswith("weight"))
    weights[path][0] = 0.0  # its neurons always fire, or never do
    assert (weights[path] < 0).any()
    assert (weights[path] > 0).any()
    x = 2 * RNG.normal(size=(8, 20, *map(int, shape.split(", "))))
    plain, folded = (run(graph, weights, x).outputs[0] for graph in graphs)
    np.testing.assert_array_equal(folded, plain)
    assert set(np.unique(plain)) == {0.0, 1.0}
    assert 0.1 < plain.mean() < 0.9
    for backend in ("numpy", "torch", "jax"):
        pytest.importorskip(backend)
        for graph in graphs:
            np.testing.assert_array_equal(architrave.compile(graph, backend)(weights, x), plain)


def test_a_neuron_integrates_leaks_and_fires() -> None:
    x = np.array([[0.6, 0.6, 0.5, 2.0, 0.5, 0.9]])
    # The potentials are 0.6, 0.75, 0.6875, 2.171875, 0.5 (from rest) and 1.025.
    np.testing.assert_array_equal(value("x -> lif", x), [[0, 0, 0, 1, 0, 1]])


def test_a_spike_has_the_gradient_of_a_ramp() -> None:
    graph = network("x -> lif", "x: [1, 1, 4]")
    x = np.array([[[0.4, 0.6, 1.4, 1.6]]])
    found = interpret(with_gradients(graph), [x, np.ones_like(x)], {}).outputs[1]
    np.testing.assert_array_equal(found, [[[0, 1, 1, 0]]])


# SLAB


def test_progressive_norm_goes_from_one_norm_to_the_other() -> None:
    graph = network("(x, g) -> progressive_norm", "x: [N, T, 5], g: []")
    weights, x = drawn(graph), RNG.normal(size=(3, 4, 5))
    of = {end: {f"M.{k.split(end)[1]}": v for k, v in weights.items() if end in k} for end in ("norm1.", "norm2.")}
    layer = value("x -> m: layer_norm", x, weights={k.replace("M.", "m."): v for k, v in of["norm1."].items()})
    batch = {k.replace("M.", "m."): v for k, v in of["norm2."].items()}
    trained = value("x -> m: rep_norm", x, weights=batch, training=True)
    for g in (0.0, 0.25, 1.0):
        found = run(graph, weights, x, np.array(g), training=True).outputs[0]
        np.testing.assert_allclose(found, g * layer + (1 - g) * trained, rtol=1e-12, atol=1e-12)
        after = run(graph, weights, x, np.array(g)).outputs[0]
        np.testing.assert_array_equal(after, value("x -> m: rep_norm", x, weights=batch))
    assert "layer_norm" not in operators(graph)


def test_rep_norm_is_a_batch_norm() -> None:
    """The identity of the paper: `weight + alpha * sigma` and `bias + alpha * mu`."""
    graph = network("x -> m: rep_norm", "x: [N, 5]")
    weights, x = drawn(graph), RNG.normal(size=(7, 5))
    gamma, beta, mu, var = (weights[f"m.bn.{k}"] for k in ("weight", "bias", "running_mean", "running_var"))
    alpha, sigma = weights["m.alpha"], np.sqrt(var + 1e-5)
    folded = (x - mu) / sigma * (gamma + alpha * sigma) + beta + alpha * mu
    np.testing.assert_allclose(run(graph, weights, x).outputs[0], folded, rtol=1e-13, atol=1e-13)


def test_the_share_of_a_scheduled_norm_falls() -> None:
    scheduled = network("x -> m: scheduled_norm(4, 2)", "x: [N, 5]")
    progressive = network("(x, g) -> m: progressive_norm", "x: [N, 5], g: []")
    weights, x = drawn(scheduled), RNG.normal(size=(7, 5))
    weights["m.seen"] = np.array(0.0)
    for share in (1, 1, 1, 0.75, 0.5, 0.25, 0, 0):
        result = run(scheduled, weights, x, training=True)
        given = {k: v for k, v in weights.items() if k != "m.seen"}
        expected = run(progressive, given, x, np.array(share), training=True).outputs[0]
        np.testing.assert_allclose(result.outputs[0], expected, rtol=1e-13, atol=1e-13)
        weights |= result.updates


def test_linear_attention_is_attention_in_another_order() -> None:
    q, k, v = (abs(RNG.normal(size=(2, 3, n, d))) for n, d in ((7, 4), (9, 4), (9, 5)))
    scores = q @ k.swapaxes(2, 3)
    expected = scores @ v / (scores.sum(-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(value("linear_attention(x, y, z)", q, k, v), expected, rtol=1e-12)


def test_linear_attention_is_linear() -> None:
    costs = [multiply_adds(network("x -> simplified_linear_attention(2, 4)", f"x: [1, {n}, 8]")) for n in (16, 32, 64)]
    assert [cost / costs[0] for cost in map(int, costs)] == [1, 2, 4]


# ReZero


def test_rezero_starts_as_the_identity_of_any_depth() -> None:
    depths = 1000
    graph = architrave.loads(f"""{IMPORTS}
    model M()(x: [N, 4]) {{
        for i in 0..{depths} {{
            x = x -> layer[i]: rezero(linear(4))
        }}
        return x
    }}""")
    weights, x = architrave.init(graph, dtype=np.float64), np.repeat(RNG.normal(size=(1, 4)), 4, axis=0)
    y, *_, by_x = interpret(with_gradients(graph), [x, np.eye(4)], weights).outputs
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(by_x, np.eye(4))
    assert parameters(graph) == depths * (4 * 4 + 4 + 1)


def test_a_transformer_of_12_layers_has_12_more_numbers() -> None:
    graph = architrave.loads(f"""{IMPORTS}
    model M()(x: [N, T, 8]) {{
        for i in 0..12 {{
            x = x -> layers[i]: rezero_transformer_layer(2, 16)
        }}
        return x
    }}""")
    weights, x = architrave.init(graph), RNG.normal(size=(2, 5, 8)).astype(np.float32)
    assert sum(array.size for path, array in weights.items() if path.endswith("resweight")) == 12
    np.testing.assert_array_equal(run(graph, weights, x).outputs[0], x)


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


# Serial and parallel residual branches


def stacks(branches: str) -> tuple[Graph, Graph]:
    parallel, serial = (network(f"x -> residual_stack({branches}, {p})", "x: [N, 5]") for p in ("true", "false"))
    return parallel, serial


def test_parallel_branches_lose_what_is_quadratic() -> None:
    parallel, serial = stacks("[linear(5, bias = false) for i in 0..6]")
    assert parameters(parallel) == parameters(serial)
    assert (depth(parallel), depth(serial)) == (1, 6)
    weights, x = drawn(parallel), RNG.normal(size=(20, 5))
    ratios = []
    for eps in (1e-3, 1e-2):
        small = {path: eps * weight for path, weight in weights.items()}
        one, other = (run(graph, small, x).outputs[0] for graph in (parallel, serial))
        ratios.append(abs(one - other).max() / eps**2)
    assert ratios[1] == pytest.approx(ratios[0], rel=0.1)


def test_one_branch_is_both() -> None:
    parallel, serial = stacks("[mlp(7)]")
    assert parallel == serial


# Unified normalization


def test_constant_statistics_are_those_of_the_batch() -> None:
    graph = network("x -> m: unified_norm", "x: [N, T, 5]")
    weights, x = drawn(graph), RNG.normal(size=(4, 6, 5)) * np.arange(1, 6)
    weights["m.seen"] = np.array(0.0)
    expected = x / np.sqrt((x * x).mean((0, 1)) + 1e-5) * weights["m.weight"] + weights["m.bias"]
    for _ in range(6):
        result = run(graph, weights, x, training=True)
        np.testing.assert_allclose(result.outputs[0], expected, rtol=1e-12, atol=1e-12)
        weights |= result.updates
    assert weights["m.seen"] == 6


def test_a_window_is_averaged_but_for_outliers() -> None:
    graph = network("x -> m: unified_norm(3, gap = 1.5, eps = 0.0)", "x: [N, 2]")
    weights = {path: array.astype(float) for path, array in architrave.init(graph).items()}
    sizes = np.array([[1.0, 1.0], [1.0, 1.5], [2.0, 100.0], [2.0, 1.0]])
    found = []
    for size in sizes:
        result = run(graph, weights, np.array([size, -size]), training=True)
        found.append(size / result.outputs[0][0])
        weights |= result.updates
    geometric = [math.sqrt(math.prod(sizes[i, 0] ** (2 / 3) for i in w)) for w in ([0, 0, 1], [0, 1, 2], [1, 2, 3])]
    np.testing.assert_allclose([row[0] for row in found], [1.0, *geometric], rtol=1e-12)
    np.testing.assert_allclose([row[1] for row in found], [1.0, 1.5 ** (1 / 3), 100.0, 1.0], rtol=1e-12)


def test_the_gradient_is_that_of_statistics_which_stay() -> None:
    """With a window of one step, the gradient is that of `x / sqrt(mean(x * x))` itself."""
    unified = network("x -> m: unified_norm(1)", "x: [N, 3]")
    plain = network("x * rsqrt(mean(x * x, axis = 0) + 1e-5)", "x: [N, 3]")
    weights, x, g = architrave.init(unified, dtype=np.float64), RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3))
    found = interpret(with_gradients(specialize(unified, True)), [x, g], weights).outputs[-1]
    expected = interpret(with_gradients(plain), [x, g], {}).outputs[-1]
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_unified_norm_is_a_scale_and_shift_afterwards() -> None:
    graph = network("x -> m: unified_norm", "x: [N, 5]")
    weights, x = drawn(graph), RNG.normal(size=(7, 5))
    scale = weights["m.weight"] / np.sqrt(weights["m.running_square"] + 1e-5)
    np.testing.assert_allclose(run(graph, weights, x).outputs[0], x * scale + weights["m.bias"], rtol=1e-12)


# Hopfield networks


def separated(count: int = 6, width: int = 64) -> Array:
    """Orthogonal patterns of length 8."""
    return 8 * np.linalg.qr(RNG.normal(size=(width, count)))[0].T[None, None]


def test_a_step_is_attention() -> None:
    q, patterns = RNG.normal(size=(2, 3, 4, 16)), RNG.normal(size=(2, 3, 9, 16))
    found = value("hopfield_step(x, y, 0.25)", q, patterns)
    np.testing.assert_array_equal(found, value("attention(x, y, y)", q, patterns))
    one = network("(x, y) -> hopfield(2)", "x: [N, T, 4], y: [N, M, 6]")
    cross = network("(x, y) -> cross_attention(2)", "x: [N, T, 4], y: [N, M, 6]")
    weights, given = drawn(one), [RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 5, 6))]
    renamed = {path.replace("hopfield_0", "cross_attention_0"): array for path, array in weights.items()}
    expected = run(cross, renamed, *given).outputs[0]
    np.testing.assert_allclose(run(one, weights, *given).outputs[0], expected, rtol=1e-13, atol=1e-13)


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


# ScaleCrafter


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_a_redilated_convolution_is_the_original_on_each_phase(factor: int) -> None:
    plain = network("x -> m: conv2d(4, 3)", "x: [N, 3, H, W]")
    wide = network(f"x -> m: redilated_conv2d(4, 3, {factor})", "x: [N, 3, H, W]")
    weights, x = drawn(plain), RNG.normal(size=(2, 3, 6 * factor, 5 * factor))
    y = run(wide, {path.replace("m.", "m.conv."): array for path, array in weights.items()}, x).outputs[0]
    for a, b in np.ndindex(factor, factor):
        expected = run(plain, weights, x[..., a::factor, b::factor]).outputs[0]
        np.testing.assert_allclose(y[..., a::factor, b::factor], expected, rtol=1e-14, atol=1e-14)
    assert parameters(plain) == parameters(wide)


def test_a_factor_of_one_changes_nothing() -> None:
    plain, wide = (network(f"x -> {block}", "x: [N, 3, H, W]") for block in ("conv2d(4)", "m: redilated_conv2d(4)"))
    weights, x = drawn(plain), RNG.normal(size=(2, 3, 4, 5))
    given = {path.replace("conv2d_0.", "m.conv."): array for path, array in weights.items()}
    np.testing.assert_array_equal(run(wide, given, x).outputs[0], run(plain, weights, x).outputs[0])
    assert operators(plain) == operators(wide)


def test_a_factor_between_integers_keeps_a_constant_image() -> None:
    graph = network("x -> m: redilated_conv2d(1, 3, 1.5, bias = false)", "x: [1, 1, 12, 12]")
    (path,) = architrave.init(graph)
    kernel, x = RNG.normal(size=(1, 1, 3, 3)), np.ones((1, 1, 12, 12))
    y = run(graph, {path: kernel}, x).outputs[0]
    np.testing.assert_allclose(y[..., 3:-3, 3:-3], kernel.sum(), rtol=1e-12)


# RMSNorm of what has mean 0


def test_crms_norm_is_rms_norm_without_the_last_coordinate() -> None:
    x = RNG.normal(size=(7, 6))
    x -= x.mean(-1, keepdims=True)
    weight = RNG.normal(size=6)
    full = value("x -> m: rms_norm(1e-6)", x, weights={"m.weight": weight})
    short = value("x -> m: crms_norm(1e-6)", x[:, :-1], weights={"m.weight": weight[:-1]})
    np.testing.assert_allclose(short, full[:, :-1], rtol=1e-13)
    layer = value("x -> m: layer_norm(1e-6, affine = false)", x)
    np.testing.assert_allclose(full / weight, layer, rtol=1e-12)
