"""XNOR-Net: the best scale, products of bits by counting, and what they save."""

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.passes import apply
from architrave.passes.quantize.bits.cost import binary_cost
from tests.quantize.papers.binary import Array, drawn, network, packed_product, value, windows

RNG: Any = np.random.default_rng(0)


def error(weight: Array, scale: Array, bits: Array) -> Array:
    """`|w - s b| ** 2` of each filter."""
    shaped = scale.reshape(-1, 1, 1, 1)
    squares: Array = ((weight - shaped * bits) ** 2).sum((1, 2, 3))
    return squares


def test_the_mean_is_the_best_scale_and_the_signs_are_the_best_bits() -> None:
    weight = RNG.normal(size=(6, 4, 3, 3))
    scale, bits = value("filter_mean(x)", weight), value("clipped(x)", weight)
    least = error(weight, scale, bits)
    for change in (-0.1, -1e-3, 1e-3, 0.1):
        assert (error(weight, scale + change, bits) > least).all()
    for place in np.ndindex(bits.shape[1:]):
        flipped = bits.copy()
        flipped[(slice(None), *place)] *= -1
        assert (error(weight, scale, flipped) > least).all()


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_counting_bits_gives_the_convolution(backend: str) -> None:
    graph = network("x -> c: binary_conv(7, method = bnn, padding = 0)", "x: [N, 5, 9, 8]")
    weights = {"c.weight": RNG.normal(size=(7, 5, 3, 3)).astype(np.float32)}
    x = RNG.normal(size=(2, 5, 9, 8)).astype(np.float32)
    found = architrave.compile(graph, backend=backend)(weights, x)
    rows = windows(np.where(x >= 0, 1, -1), 3)
    counted = packed_product(rows.reshape(-1, 45), np.where(weights["c.weight"] >= 0, 1, -1).reshape(7, 45))
    np.testing.assert_array_equal(found, counted.reshape(2, 7, 6, 7).transpose(0, 3, 1, 2))


def test_inputs_are_scaled_by_the_mean_of_each_window() -> None:
    x, weight = RNG.normal(size=(2, 3, 6, 6)), RNG.normal(size=(4, 3, 3, 3))
    found = value("x -> c: binary_conv(4, padding = 0, stride = 2)", x, weights={"c.weight": weight})
    rows = windows(x, 3)[:, ::2, ::2]
    bits = np.where(rows >= 0, 1.0, -1.0) @ np.where(weight >= 0, 1.0, -1.0).reshape(4, 27).T
    expected = bits * abs(rows).mean(-1, keepdims=True) * abs(weight).mean((1, 2, 3))
    np.testing.assert_allclose(found, expected.transpose(0, 3, 1, 2), rtol=1e-12)


def test_the_block_of_the_paper_trains() -> None:
    body = "x -> bn: batch_norm -> c: binary_conv(4) -> max_pool(2)"
    report = architrave.verify(network(body, "x: [N, 3, 6, 6]"), ["numpy", "torch", "jax"])
    assert report.ok, report


def test_work_and_memory() -> None:
    body = "x -> c: binary_conv(32, method = [clipped, clipped, filter_mean, none])"
    graph = apply(network(body, "x: [N, 256, 14, 14]"), "inference").graph
    found = binary_cost(graph, {"N": 1})
    assert found.binary == found.multiply_adds == 256 * 9 * 32 * 14 * 14
    assert found.multiply_adds / found.operations == pytest.approx(64 * 256 * 9 / (256 * 9 + 64))
    assert found.multiply_adds / found.operations == pytest.approx(62.27, abs=5e-3)
    assert found.stored_bits == 32 * 256 * 9 + 32 * 32


def test_weights_of_one_bit_take_a_32nd() -> None:
    graph = apply(network("x -> c: binary_conv(8, method = bnn)", "x: [N, 8, 4, 4]"), "inference").graph
    assert binary_cost(graph, {"N": 1}).bits_per_weight == 1
    assert set(np.unique(apply(graph, "hoist").weights(drawn(graph))["c.weight"])) == {-1.0, 1.0}
