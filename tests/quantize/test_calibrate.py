"""Scales that calibration finds are those of the float network's activations."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from architrave.ir.initializers import init
from architrave.ir.interpret import interpret
from architrave.ir.source import ArchitraveError
from architrave.models import find_in_text
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import activation_sites, weight_sites
from architrave.quantize import MSE, Integers, MinMax, calibrate, unrounded, weight_scales
from architrave.record import reestimate

TEXT = """
from std.conv import conv2d
from std.linear import linear
from std.norm import batch_norm

model Net()(x: [N, 2, 4, 4]) -> [N, 3] {
    y = x -> a: conv2d(4, 3) -> n: batch_norm -> relu
    y = y + (y -> b: conv2d(4, 3) -> relu)
    return mean(y, axis = [2, 3]) -> c: linear(3)
}
"""


@cache
def network():
    return find_in_text(TEXT).elaborate({}).graph


@cache
def rounded(step="quantize"):
    transformed = apply(network(), f"deploy,{step}")
    return transformed.graph, transformed.weights(init(network(), 0))


def batches(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((size, 2, 4, 4)).astype(np.float32),) for size in sizes]


def activations(graph, weights, data):
    """The operands of the quantizers in the float network, over all data, by the oracle."""
    plain, before = unrounded(graph)
    sites = activation_sites(graph)
    outputs = tuple(before[s.value] for s in sites)
    return sites, interpret(replace(plain, outputs=outputs), (np.concatenate([x for (x,) in data]),), weights).outputs


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("step", ["quantize", "quantize{symmetric=true}", "quantize{bits=4 act=4 group=2}"])
def test_min_max_covers_what_was_seen(backend, step):
    graph, weights = rounded(step)
    data = batches(3, 4, 1)
    found = calibrate(graph, weights, data, backend=backend)
    assert set(found) == set(weights)
    for site, x in zip(*activations(graph, weights, data), strict=True):
        grid = Integers(*site.op.bounds, site.zero is not None)
        scale, zero = grid.fitted(float(x.min()), float(x.max()))
        np.testing.assert_allclose(found[site.scale], scale, rtol=1e-4)
        assert site.zero is None or abs(int(found[site.zero]) - zero) <= 1
        assert found[site.scale].dtype == weights[site.scale].dtype
    changed = {path for path in weights if not np.array_equal(weights[path], found[path])}
    assert changed <= {p for s in activation_sites(graph) for p in (s.scale, s.zero)}


def test_how_data_are_batched_does_not_matter():
    graph, weights = rounded()
    whole = [(np.concatenate([x for (x,) in batches(3, 4, 1)]),)]
    one, other = (calibrate(graph, weights, data, MSE(), backend="numpy") for data in (batches(3, 4, 1), whole))
    for path in one:
        np.testing.assert_allclose(one[path], other[path], rtol=1e-6)


def test_the_calibrated_network_is_near_the_float_one():
    graph, weights = rounded()
    found = calibrate(graph, weights, batches(8), MinMax())
    (x,) = batches(16, seed=1)[0]
    plain, _ = unrounded(graph)
    (wanted,), (y,) = interpret(plain, (x,), found).outputs, interpret(graph, (x,), found).outputs
    assert np.square(wanted).sum() > 10**3 * np.square(y - wanted).sum()


def test_powers_of_two():
    graph, weights = rounded("quantize{symmetric=true}")
    found = calibrate(graph, weights, batches(4), MSE(), power_of_two=True)
    assert all(np.log2(found[s.scale]).is_integer() for s in activation_sites(graph))


def test_weight_scales_have_less_error_than_those_of_the_largest():
    graph, weights = rounded("quantize{bits=3 group=2}")
    found = weight_scales(graph, weights)
    outputs = tuple(s.rounded for s in weight_sites(graph)) + tuple(s.value for s in weight_sites(graph))
    values = replace(graph, inputs=(), outputs=outputs)
    count = len(weight_sites(graph))
    assert count == 3

    def errors(held):
        arrays = interpret(values, (), held).outputs
        return [np.square(a - b).sum() for a, b in zip(arrays[:count], arrays[count:], strict=True)]

    assert all(a < b for a, b in zip(errors(found), errors(weights), strict=True))


def test_a_network_without_a_number_gets_scales_of_one():
    graph, weights = rounded()
    zeros = [(np.zeros((2, 2, 4, 4), np.float32),)]
    found = calibrate(graph, {**weights, "a.bias": np.zeros(4, np.float32)}, zeros)
    assert found["a.x_scale"] == 1
    assert found["a.x_zero"] == -128


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ([], "E912"),
        ([(np.full((1, 2, 4, 4), np.nan, np.float32),)], "E911"),
        ([(np.full((1, 2, 4, 4), np.inf, np.float32),)], "E911"),
        ([(np.zeros((1, 2, 4, 5), np.float32),)], None),
        ([(np.zeros((1, 3, 4, 4), np.float32),)], "E511"),
        ([()], "E510"),
    ],
)
def test_bad_data_are_refused(data, code):
    graph, weights = rounded()
    if code is None:
        data[0][0][:] = 1
        code = "E511"
    with pytest.raises(ArchitraveError) as problem:
        calibrate(graph, weights, data)
    assert problem.value.diagnostics[0].code == code


def test_an_infinity_is_reported_with_its_place():
    graph, weights = rounded()
    with pytest.raises(ArchitraveError, match="infinite on the examples"):
        calibrate(graph, {**weights, "b.weight": weights["b.weight"] * np.float32(3e38)}, batches(1))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_running_statistics_become_those_of_the_batches(backend):
    weights = init(network(), 0)
    data = batches(6, 2)
    found = reestimate(network(), {**weights, "n.running_mean": np.full(4, 9, np.float32)}, data, backend=backend)
    a = next(n for n in network().nodes if n.op.name == "conv").outputs[0]
    means, variances = [], []
    for (x,) in data:
        (y,) = interpret(replace(network(), outputs=(a,), updates=()), (x,), weights).outputs
        means.append(y.mean(axis=(0, 2, 3)))
        variances.append(y.var(axis=(0, 2, 3), ddof=1))
    np.testing.assert_allclose(found["n.running_mean"], np.average(means, 0, [6, 2]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["n.running_var"], np.average(variances, 0, [6, 2]), rtol=1e-4)
    assert all(np.array_equal(found[p], weights[p]) for p in weights if "running" not in p)


def test_statistics_need_batches():
    with pytest.raises(ArchitraveError, match="E912"):
        reestimate(network(), init(network(), 0), [])


def test_a_scale_for_each_channel_is_that_of_the_channel():
    text = """
    model Net()(x: [N, 2, 3]) -> [N, 2, 3] {
        param s: [2, 1] = ones
        state z: i32[2, 1] = zeros
        return op.fake_quantize(x, s, z)
    }
    """
    graph = find_in_text(text).elaborate({}).graph
    x = np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float32) * np.float32([[1], [10]])
    found = calibrate(graph, init(graph, 0), [(x[:2],), (x[2:],)], backend="numpy")
    reach = np.ptp(np.concatenate([x, np.zeros_like(x[:1])]), axis=(0, 2))
    np.testing.assert_allclose(found["s"][:, 0], reach / 255, rtol=1e-6)
    assert found["z"].shape == (2, 1)
