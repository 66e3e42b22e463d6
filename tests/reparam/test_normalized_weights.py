"""Normalized weights: what the papers say of weight norm, spectral norm and standardization."""

from __future__ import annotations

import numpy as np
import pytest

from architrave.ir.interpret import interpret
from architrave.train import calibrate
from tests.reparam.computed import IMAGES, LAYERS, Array, drawn, folded, gradients, inputs_of, network, value


def test_weight_norm_holds_length_and_direction_apart() -> None:
    """The gradient of the direction is orthogonal to it, and the length of each output's weights is its gain."""
    body = "x -> fc: linear_of(5, weight_norm)"
    graph = network(body)
    weights, (x,) = drawn(graph), inputs_of(graph)
    slopes = gradients(body, weights, x)["fc.weight_v"]
    np.testing.assert_allclose((slopes * weights["fc.weight_v"]).sum(1), 0, atol=1e-12 * np.abs(slopes).max())
    _, new = folded(graph, weights)
    np.testing.assert_allclose(
        np.linalg.norm(new["fc.weight"], axis=1), np.abs(weights["fc.weight_g"][:, 0]), rtol=1e-12
    )


TORCH = {
    "weight_norm": {"original0": "weight_g", "original1": "weight_v"},
    "spectral_norm": {"original": "weight", "0._u": "u", "0._v": ""},
}


@pytest.mark.parametrize("name", TORCH)
def test_they_are_those_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Conv2d(4, 6, 3, padding=1)
    theirs = getattr(torch.nn.utils.parametrizations, name)(layer).double().eval()
    state = {key: w.detach().numpy() for key, w in theirs.state_dict().items()}
    weights = {f"c.{ours}": state[f"parametrizations.weight.{key}"] for key, ours in TORCH[name].items() if ours}
    graph = network(f"x -> c: conv_of(6, {name})", IMAGES)
    (x,) = inputs_of(graph)
    found = value(graph, weights | {"c.bias": state["bias"]}, x)
    np.testing.assert_allclose(found, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_start_from_data_normalizes_every_layer() -> None:
    """Each is normalized after those before it have been, on the batch that was given."""
    graph = network("x -> conv_of(6, weight_norm) -> relu -> mean(axis = [2, 3]) -> linear_of(3, weight_norm)", IMAGES)
    (x,) = inputs_of(graph, 16)
    weights = calibrate(graph, drawn(graph), 3 + 2 * x)
    seen: list[Array] = []
    interpret(
        graph, [3 + 2 * x], weights, observe=lambda node, v: seen.append(v[0]) if node.op.name in LAYERS else None
    )
    assert len(seen) == 2
    for y in seen:
        others = tuple(axis for axis in range(y.ndim) if axis != 1)
        np.testing.assert_allclose(y.mean(others), 0, atol=1e-4)
        np.testing.assert_allclose(y.std(others), 1, atol=1e-4)


def test_spectral_norm_comes_to_be_one() -> None:
    """After 200 steps of the power iteration the largest singular value is 1, and layers do not expand distances."""
    layer = "linear_of(32, spectral_norm, bias = false)"
    graph = network(f"x -> a: {layer} -> relu -> b: {layer} -> relu -> c: {layer}", "x: [N, 48]")
    weights, (x,) = drawn(graph), inputs_of(graph, 64)
    for _ in range(200):
        weights |= interpret(graph, [x], weights, training=True).updates
    plain, new = folded(graph, weights)
    for matrix in new.values():
        assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, abs=5e-3)
    y = value(plain, new, x)
    distance = np.linalg.norm(y[1:] - y[:-1], axis=1) / np.linalg.norm(x[1:] - x[:-1], axis=1)
    assert distance.max() <= 1.005**3


def test_no_gradient_flows_through_the_power_iteration() -> None:
    """With `u` and `v` fixed, the gradient of the scaled weight is that of `w / (u' w v)`."""
    body = "x -> fc: linear_of(3, spectral_norm, bias = false)"
    graph = network(body)
    weights, (x,) = drawn(graph), inputs_of(graph)
    w, u = weights["fc.weight"], weights["fc.u"] / np.linalg.norm(weights["fc.u"])
    v = w.T @ u / np.linalg.norm(w.T @ u)
    sigma = u @ w @ v
    by_scaled = 2 * (x @ w.T / sigma).T @ x
    wanted = by_scaled / sigma - (by_scaled * w).sum() / sigma**2 * np.outer(u, v)
    np.testing.assert_allclose(gradients(body, weights, x)["fc.weight"], wanted, rtol=1e-10)


def test_standardized_filters() -> None:
    """Mean 0 and variance 1; so that a constant image gives zeros away from the border."""
    graph = network("x -> c: conv_of(6, weight_standardization, 3, bias = false)", IMAGES)
    weights = drawn(graph)
    _, new = folded(graph, weights)
    filters = new["c.weight"].reshape(6, -1)
    np.testing.assert_allclose(filters.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(filters.var(1), 1, atol=1e-5)
    np.testing.assert_allclose(value(graph, weights, np.full((1, 4, 7, 6), 3.0))[:, :, 1:-1, 1:-1], 0, atol=1e-12)


def test_batch_channel_norm_does_not_mix_examples_in_inference() -> None:
    graph = network("x -> batch_channel_norm(2)", IMAGES)
    weights, (x,) = drawn(graph), inputs_of(graph)
    np.testing.assert_array_equal(value(graph, weights, x)[:1], value(graph, weights, x[:1]))


def test_batch_channel_norm_moves_its_statistics_first() -> None:
    """In training it uses the statistics that it leaves, and no gradient reaches them."""
    graph = network("x -> batch_channel_norm(2, rate = 0.25)", IMAGES)
    weights, (x,) = drawn(graph), inputs_of(graph)
    run = interpret(graph, [x], weights, training=True)
    (mean,) = (v for path, v in run.updates.items() if path.endswith("mean"))
    before = weights["batch_channel_norm_0.running_mean"]
    np.testing.assert_allclose(mean, 0.75 * before + 0.25 * x.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(run.outputs[0], value(graph, weights | run.updates, x), rtol=1e-12)
