"""Weights made of smaller ones or by networks: hypercomplex, of low rank, with a Lipschitz bound, generated."""

from __future__ import annotations

import math

import numpy as np
import pytest

import architrave
from architrave.backends.agree.verification import verify
from architrave.ir.interpret import interpret
from tests.reparam.computed import (
    IMAGES,
    IMPORTS,
    LAYERS,
    ROWS,
    drawn,
    folded,
    gradients,
    inputs_of,
    network,
    operators,
    value,
)


def test_hypercomplex_numbers_of_one_dimension_are_numbers() -> None:
    graph, plain = network("x -> fc: ph_linear(3, 1)"), network("x -> fc: linear(3)")
    weights, (x,) = drawn(graph), inputs_of(graph)
    scaled = weights["fc.algebra"][0, 0, 0] * weights["fc.filters"][0]
    found = value(plain, {"fc.weight": scaled, "fc.bias": weights["fc.bias"]}, x)
    np.testing.assert_allclose(value(graph, weights, x), found, rtol=1e-12)


def test_hamiltons_multiplication_gives_quaternions() -> None:
    """A map of one quaternion is the product with it; and a learned multiplication can be that one."""
    r, i, j, k = q = np.array([0.5, -1.0, 2.0, 0.25])
    a, b, c, d = x = np.array([1.5, 0.75, -2.0, 3.0])
    product = [
        r * a - i * b - j * c - k * d,
        r * b + i * a + j * d - k * c,
        r * c - i * d + j * a + k * b,
        r * d + i * c - j * b + k * a,
    ]
    graph = network("x -> fc: linear_of(4, quaternion_weight, bias = false)")
    filters = {"fc.filters": q.reshape(4, 1, 1)}
    np.testing.assert_allclose(value(graph, filters, x[None])[0], product, rtol=1e-12)
    (matrix,) = folded(graph, {"fc.filters": np.ones((4, 1, 1))})[1].values()
    one = [folded(graph, {"fc.filters": np.eye(4)[n].reshape(4, 1, 1)})[1]["fc.weight"] for n in range(4)]
    np.testing.assert_array_equal(sum(one), matrix)
    learned = network("x -> fc: ph_linear(4, 4, bias = false)")
    np.testing.assert_allclose(
        value(learned, filters | {"fc.algebra": np.stack(one)}, x[None]), value(graph, filters, x[None]), rtol=1e-12
    )


def test_lora_starts_as_the_frozen_network() -> None:
    """Bit for bit; and what is frozen has no gradient."""
    both = "x -> c: {}conv2d(6, 3, {}stride = 2) -> mean(axis = [2, 3]) -> fc: {}linear(3{})"
    adapted = network(both.format("lora_", "2, ", "lora_", ", 2"), IMAGES)
    frozen = network(both.format("", "", "", ""), IMAGES)
    weights, (x,) = architrave.init(adapted, 0, np.float64), inputs_of(adapted)
    base = {path: w for path, w in weights.items() if "lora" not in path}
    np.testing.assert_array_equal(value(adapted, weights, x), value(frozen, base, x))
    slopes = gradients("x -> fc: lora_linear(3, 2)", drawn(network("x -> fc: lora_linear(3, 2)")), x[:, :, 0, 0])
    assert {path for path, slope in slopes.items() if slope.any()} == {"fc.lora_A", "fc.lora_B"}


def test_lora_of_a_kernel_is_a_second_branch() -> None:
    graph, plain = network("x -> c: lora_conv2d(6, 3, 2, 4.0)", IMAGES), network("x -> c: conv2d(6, 3)", IMAGES)
    weights, (x,) = drawn(graph), inputs_of(graph)
    base = {path: weights[path] for path in ("c.weight", "c.bias")}
    update = 2.0 * (weights["c.lora_B"] @ weights["c.lora_A"]).reshape(6, 4, 3, 3)
    branches = value(plain, base, x) + value(plain, {"c.weight": update, "c.bias": np.zeros(6)}, x)
    np.testing.assert_allclose(value(graph, weights, x), branches, rtol=1e-10)


def test_statistics_of_another_domain_fold_into_the_adapted_kernel() -> None:
    """AdaBN: a run in training over images of the domain replaces the statistics, and one convolution remains."""
    graph = network("x -> c: lora_conv2d(6, 3, 2) -> bn: batch_norm(momentum = 1.0) -> relu", IMAGES)
    weights, (x,) = drawn(graph), inputs_of(graph, 8)
    weights |= interpret(graph, [5 + 3 * x], weights, training=True).updates
    plain, new = folded(graph, weights)
    assert operators(plain) == {"conv", "relu"}
    np.testing.assert_allclose(value(plain, new, x), value(graph, weights, x), rtol=1e-6, atol=1e-12)


def test_a_canonical_convolution_has_the_kernel_of_its_vectors() -> None:
    graph = network("x -> c: cp_conv2d(5, 3, [3, 5], [2, 1], dilation = [1, 2])", IMAGES)
    weights, (x,) = drawn(graph), inputs_of(graph)
    factors = [weights[f"c.{name}"] for name in ("outputs", "inputs", "column", "row")]
    kernel = np.einsum("or,ir,hr,wr->oihw", *factors)
    plain = network("x -> c: conv2d(5, [3, 5], [2, 1], dilation = [1, 2])", IMAGES)
    found = value(plain, {"c.weight": kernel, "c.bias": weights["c.bias"]}, x)
    np.testing.assert_allclose(value(graph, weights, x), found, rtol=1e-9, atol=1e-12)
    dense, weights = folded(graph, weights, "inference,reparam{grow=true},simplify,hoist")
    assert [node.op.name for node in dense.nodes if node.op.name in LAYERS] == ["conv"]
    np.testing.assert_allclose(weights["c.weight"], kernel, rtol=1e-9, atol=1e-12)


def test_the_cayley_map_gives_rows_of_an_orthogonal_matrix() -> None:
    graph = architrave.loads(f"{IMPORTS}\nmodel M()(x: [5, 5], y: [7, 5]) = cayley(x, y)")
    a, b = interpret(graph, inputs_of(graph)).outputs
    assert (a.shape, b.shape) == ((5, 5), (5, 7))
    np.testing.assert_allclose(a @ a.T + b @ b.T, np.eye(5), atol=1e-12)


@pytest.mark.parametrize(("widths", "reached"), [([8], 0.6), ([16, 16, 16], 0.2)])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 8.0])
def test_slopes_do_not_exceed_the_bound(gamma: float, widths: list[int], reached: float) -> None:
    graph = network(f"x -> lipschitz_mlp({widths}, 3, {gamma})")
    weights = drawn(graph)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((4000, 4))
    near = x + 1e-3 * rng.standard_normal(x.shape)
    change = np.linalg.norm(value(graph, weights, x) - value(graph, weights, near), axis=1)
    slopes = change / np.linalg.norm(x - near, axis=1)
    assert reached * gamma < slopes.max() <= gamma * (1 + 1e-9)


@pytest.mark.parametrize("size", [(5, 6), (4, 7)])
def test_slopes_of_sandwich_convolutions_do_not_exceed_one(size: tuple[int, int]) -> None:
    graph = network("x -> sandwich_conv2d(4) -> sandwich_conv2d(2)", f"x: [N, 3, {size[0]}, {size[1]}]")
    weights, (x,) = drawn(graph), inputs_of(graph, 500)
    near = x + 1e-3 * inputs_of(graph, 500, seed=2)[0]
    change = np.linalg.norm(np.reshape(value(graph, weights, x) - value(graph, weights, near), (500, -1)), axis=1)
    slopes = change / np.linalg.norm(np.reshape(x - near, (500, -1)), axis=1)
    assert 0.2 < slopes.max() <= 1 + 1e-9


def test_a_sandwich_convolution_of_one_pixel_is_a_sandwich_layer() -> None:
    graph, plain = (
        network("x -> s: sandwich_conv2d(4, 1)", "x: [N, 3, 1, 1]"),
        network("x -> s: sandwich(4)", "x: [N, 3]"),
    )
    weights, (x,) = drawn(graph), inputs_of(graph)
    flat = {path: w[:, :, 0, 0] if w.ndim == 4 else w for path, w in weights.items()}
    np.testing.assert_allclose(value(graph, weights, x)[:, :, 0, 0], value(plain, flat, x[:, :, 0, 0]), rtol=1e-10)


def test_sandwich_convolutions_agree_on_every_backend() -> None:
    report = verify(network("x -> sandwich_conv2d(2)", "x: [N, 3, 4, 3]"))
    assert report.ok, str(report)


def test_neighbours_of_sandwich_layers_become_one() -> None:
    """A perceptron of four sandwich layers has five linear maps when it is folded."""
    graph = network("x -> lipschitz_mlp([6, 6, 6, 6], 6)")
    weights, (x,) = drawn(graph), inputs_of(graph)
    plain, new = folded(graph, weights)
    assert sum(node.op.name == "linear" for node in plain.nodes) == 5
    np.testing.assert_allclose(value(plain, new, x), value(graph, weights, x), rtol=1e-5)


def test_numbers_on_a_circle_have_one_length() -> None:
    g = np.random.default_rng(0).random((9, 5))
    graph = network("on_circle(x)", "x: [N, 5]")
    np.testing.assert_allclose(np.linalg.norm(value(graph, {}, g), axis=1), math.sqrt(5), rtol=1e-12)


def test_a_hypernetwork_starts_without_effect() -> None:
    graph = network("(x, g) -> mip_mlp([5, 2], [6])", f"{ROWS}, g: [3]")
    plain = network("x -> layers[0]: linear(5) -> relu -> layers[1]: linear(2)")
    weights, (x, g) = architrave.init(graph, 0, np.float64), inputs_of(graph)
    own = {path.removeprefix("mip_mlp_0."): w for path, w in weights.items() if "hypernetwork" not in path}
    np.testing.assert_array_equal(value(graph, weights, x, g), value(plain, own, x))


@pytest.mark.parametrize(("arguments", "scales"), [("identity, false", True), ("on_circle, true", False)])
def test_what_scales_with_its_input(arguments: str, scales: bool) -> None:
    graph = network(f"g -> mip_hypernetwork(7, [6, 6], {arguments}, normal(1.0))", "g: [3]")
    weights, g = drawn(graph), np.array([0.2, 0.5, 0.3])
    assert np.allclose(value(graph, weights, 1.7 * g), 1.7 * value(graph, weights, g), rtol=1e-9) is scales


DEPENDENT = "task -> h: dp_hypernetwork(20, 5, 3, 4)"


def test_later_weights_depend_on_earlier_ones() -> None:
    """Where what the LSTM sees of the second chunk changes, so do that chunk and all after it, and none before."""
    graph = network(DEPENDENT, "task: [2]")
    weights, (task,) = drawn(graph), inputs_of(graph)
    other = {path: w.copy() for path, w in weights.items()}
    other["h.chunk_embeddings"][1] += 1
    same = np.isclose(value(graph, weights, task), value(graph, other, task)).reshape(4, 5)
    assert same.all(1).tolist() == [True, False, False, False]


def test_more_hidden_units_change_nothing_at_first() -> None:
    """New units of the LSTM that nothing reads yet leave every weight as it is."""
    graph, grown = network(DEPENDENT, "task: [2]"), network(DEPENDENT.replace("3, 4)", "3, 6)"), "task: [2]")
    weights, more, (task,) = drawn(graph), drawn(grown, 5), inputs_of(graph)
    for path, old in weights.items():
        new = more[path]
        # The rows of an LSTM's weights are four gates, one after the other.
        gates = new.reshape(4, -1, *new.shape[1:]) if "lstm" in path else new[None]
        if path.endswith(("weight_hh", "weights.weight")):
            gates[..., 4:] = 0
        held = old.reshape(4, -1, *old.shape[1:]) if "lstm" in path else old[None]
        gates[tuple(map(slice, held.shape))] = held
        more[path] = gates.reshape(new.shape)
    np.testing.assert_allclose(value(grown, more, task), value(graph, weights, task), rtol=1e-12)
