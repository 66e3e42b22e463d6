"""BiBench's eight operators behind one interface."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from architrave.ir.interpret import interpret
from architrave.passes import apply
from architrave.passes.quantize.bits.cost import binary_cost
from tests.quantize.papers.binary import Array, drawn, gradient, network, slopes, value

RNG: Any = np.random.default_rng(0)
METHODS = ("bnn", "xnor", "dorefa", "bi_real", "xnor_plus", "reactnet", "recu", "fda")


def waves(x: Array) -> Array:
    """The derivative of ten terms of the Fourier series of a square wave."""
    series: Array = 4 / np.pi * sum(np.cos((2 * i + 1) * x) for i in range(10))
    return series


SLOPES: dict[str, Callable[[Array], Array]] = {
    "clipped(x)": lambda x: 1.0 * (abs(x) <= 1),
    "quadratic(x)": lambda x: np.maximum(2 - 2 * abs(x), 0),
    "fourier(x)": waves,
}


@pytest.mark.parametrize("method", METHODS)
def test_weights_are_a_scale_and_its_negative(method: str) -> None:
    body = f"""{{
        (sign, weight_sign, scale, input_scale) = {method}
        s = if scale == none {{ ones([1]) }} else {{ x -> scale: scale }}
        return (x -> weight_sign) * reshape(s, s.shape + [1, 1, 1])
    }}"""
    weights = {"scale.gain": RNG.uniform(0.5, 2, size=6)}
    found = abs(value(body, RNG.normal(size=(6, 4, 3, 3)), weights=weights if method == "xnor_plus" else None))
    assert (found > 0).all()
    assert (found == found[:, :1, :1, :1]).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_network_that_counts_bits_is_the_one_that_was_trained(method: str) -> None:
    body = f"x -> a: binary_conv(6, method = {method}) -> bn: batch_norm -> b: binary_conv(5, method = {method})"
    graph = network(body, "x: [N, 3, 6, 6]")
    weights, x = drawn(graph), RNG.normal(size=(2, 3, 6, 6))
    packed = apply(graph, "inference,binary,hoist")
    assert [entry.rule for entry in packed.journal.changes].count("signs-to-bits") == 2
    new = packed.weights(weights)
    assert new["a.weight"].dtype == new["b.weight"].dtype == np.uint8
    expected = interpret(graph, [x], weights).outputs[0]
    np.testing.assert_array_equal(interpret(packed.graph, [x], new).outputs[0], expected)


@pytest.mark.parametrize("method", METHODS)
def test_the_network_of_bits_is_the_one_that_was_trained(method: str) -> None:
    body = f"x -> a: binary_conv(6, method = {method}) -> bn: batch_norm -> b: binary_conv(5, method = {method})"
    graph = network(body, "x: [N, 3, 6, 6]")
    weights, x = drawn(graph), RNG.normal(size=(2, 3, 6, 6))
    bits = apply(graph, "inference,hoist")
    new = bits.weights(weights)
    assert {-1.0, 1.0} == set(np.unique(new["a.weight"])) == set(np.unique(new["b.weight"]))
    expected = interpret(graph, [x], weights).outputs[0]
    np.testing.assert_array_equal(interpret(bits.graph, [x], new).outputs[0], expected)


@pytest.mark.parametrize("body", SLOPES)
def test_gradients_are_the_closed_forms(body: str) -> None:
    x = np.concatenate([np.linspace(-1.75, 1.75, 71), [0.0, -1.0, 1.0]])
    for backend, found in slopes(body, x).items():
        np.testing.assert_allclose(found, SLOPES[body](x), atol=1e-6, err_msg=backend)


def test_reactnet_has_the_gradient_of_bi_real_about_its_threshold() -> None:
    x = RNG.uniform(-2, 2, size=(30, 4))
    shift = np.array([0.25, -0.5, 0.0, 1.0])
    found = gradient("x -> s: shifted_sign", x, np.ones(x.shape), {"s.shift": shift})
    np.testing.assert_allclose(found, SLOPES["quadratic(x)"](x - shift), atol=1e-6)


def test_recu_gives_no_gradient_to_weights_far_out() -> None:
    weight = RNG.normal(size=(8, 40))
    standardized = (weight - weight.mean(1, keepdims=True)) / weight.std(1, keepdims=True)
    lo, hi = np.quantile(standardized, [0.05, 0.95])
    inside = (standardized > lo) & (standardized < hi)
    cotangent = RNG.normal(size=weight.shape)
    passed = cotangent * inside
    centred = passed - passed.mean(1, keepdims=True)
    expected = centred - standardized * (passed * standardized).mean(1, keepdims=True)
    found = gradient("rectified(x, 0.95)", weight, cotangent)
    np.testing.assert_allclose(found, expected / weight.std(1, keepdims=True), atol=1e-6)


def test_bits_save_32_times_the_memory_and_64_times_the_work() -> None:
    memory, work = [], []
    for channels in (16, 128, 1024):
        graph = network("x -> c: binary_conv(64, method = bi_real)", f"x: [N, {channels}, 8, 8]")
        found = binary_cost(apply(graph, "inference").graph, {"N": 1})
        memory.append(32 / found.bits_per_weight)
        work.append(found.multiply_adds / found.operations)
    assert memory == sorted(memory)
    assert work == sorted(work)
    assert 31.5 < memory[-1] < 32
    assert 63 < work[-1] < 64
