"""What papers say of norms that become a scale and a shift."""

from __future__ import annotations

import math

import numpy as np

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.cost import multiply_adds
from architrave.ir.interpret import interpret
from architrave.ir.mode import specialize
from tests.reparam.blocks import drawn, network, operators, run, value

RNG = np.random.default_rng(0)


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
