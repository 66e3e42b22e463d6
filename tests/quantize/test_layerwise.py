"""Parts of a network, the layers in them, and methods that round one layer after another."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import weight_sites
from architrave.quantize.gptq import GPTQ, loss
from architrave.quantize.grid import Grid, shaped
from architrave.quantize.layers import layers
from architrave.quantize.layerwise import ByHessian, Nearest, layerwise
from architrave.record.columns import hessians
from architrave.record.stages import stages
from tests.quantize.networks import convs, error, tokens

NETWORKS = {"convs": convs, "tokens": tokens}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("finest", [False, True])
def test_parts_one_after_another_are_the_network(name, finest):
    graph, weights, batches = NETWORKS[name]()
    quantized = apply(graph, "quantize{act=0}")
    held = quantized.weights(weights)
    parts = stages(quantized.graph, () if finest else [layer.node for layer in layers(quantized.graph)])
    assert len(parts) > 2
    values = batches[0]
    for part in parts:
        program = architrave.compile(part.graph, "numpy")
        values = (program({w.op.path: held[w.op.path] for w in part.graph.weights}, *values),)
    np.testing.assert_array_equal(values[0], architrave.compile(quantized.graph, "numpy")(held, *batches[0]))


def test_rows_times_columns_are_the_layer():
    graph, weights, _ = convs()
    quantized = apply(graph, "quantize{act=0}").graph
    rng = np.random.default_rng(0)
    for layer in layers(quantized):
        shape = [7 if not isinstance(size, int) else size for size in layer.x.shape]
        x, weight = rng.normal(size=shape), weights[layer.path].astype(np.float64)
        y = x @ weight.T if weight.ndim == 2 else layer.node.op.reference(x, weight)
        rows = weight.reshape(layer.groups, -1, layer.columns(x).shape[-1])
        mine = np.einsum("gmi,goi->mgo", layer.columns(x), rows).reshape(-1, len(weight))
        np.testing.assert_allclose(mine, np.moveaxis(y, 1, -1).reshape(-1, len(weight)), atol=1e-12)


def test_gptq_is_the_recursion_of_optimal_brain_quantization():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 12)) @ rng.normal(size=(12, 12))
    weight, hessian = rng.normal(size=(5, 12)).astype(np.float32), x.T @ x / 200
    grid = Grid.symmetric(weight, 3, (1,))
    left, damped = weight.astype(np.float64), hessian + 0.01 * np.diag(hessian).mean() * np.eye(12)
    for i in range(12):
        inverse = np.linalg.inv(damped[i:, i:])
        rounded = grid.nearest(left[:, i : i + 1])[:, 0]
        left[:, i + 1 :] -= np.outer((left[:, i] - rounded) / inverse[0, 0], inverse[0, 1:])
        left[:, i] = rounded
    for block in (1, 5, 128):
        np.testing.assert_array_equal(GPTQ(block=block).rounded(weight, hessian, grid), left.astype(np.float32))
    nearest = loss(weight, grid.nearest(weight), hessian)
    assert loss(weight, left, hessian) < nearest
    assert loss(weight, GPTQ(ordered=True).rounded(weight, hessian, grid), hessian) < nearest


@pytest.mark.parametrize("ordered", [False, True])
def test_without_correlation_gptq_rounds_to_the_nearest(ordered):
    rng = np.random.default_rng(4)
    weight = rng.normal(size=(6, 10)).astype(np.float32)
    grid = Grid.symmetric(weight, 4, (1,))
    curvature = rng.uniform(0.5, 2.0, 10) * (np.arange(10) != 3)
    np.testing.assert_array_equal(GPTQ(ordered=ordered).rounded(weight, np.diag(curvature), grid), grid.nearest(weight))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("options", ["", "group=8", "granularity=tensor"])
def test_gptq_beats_the_nearest_and_stays_on_the_grid(name, options):
    graph, weights, batches = NETWORKS[name]()
    quantized = apply(graph, f"quantize{{bits=3 act=0 {options}}}")
    held = quantized.weights(weights)
    nearest = layerwise(quantized.graph, held, batches, Nearest())
    found = layerwise(quantized.graph, held, batches, ByHessian())
    for site in weight_sites(quantized.graph):
        on_grid = found[site.path].reshape(shaped(site))
        np.testing.assert_array_equal(Grid.of(site, found).nearest(on_grid), on_grid)
    assert error(quantized.graph, found, graph, weights, batches) < error(
        quantized.graph, nearest, graph, weights, batches
    )


def test_nearest_changes_nothing_that_the_network_computes():
    graph, weights, batches = convs()
    quantized = apply(graph, "quantize{bits=3 act=0}")
    held = quantized.weights(weights)
    nearest = layerwise(quantized.graph, held, batches, Nearest())
    assert error(quantized.graph, held, quantized.graph, nearest, batches) == 0


def test_no_examples():
    graph, weights, _ = convs()
    with pytest.raises(ArchitraveError) as caught:
        layerwise(graph, weights, [], Nearest())
    assert caught.value.diagnostics[0].code == "E912"


def test_curvature_that_is_no_number():
    graph, weights, batches = convs()
    layer = layers(apply(graph, "quantize{act=0}").graph)[0]
    hessian = hessians(layer.node, [batches[0][0] * np.nan])[0]
    with pytest.raises(ArchitraveError) as caught:
        GPTQ().rounded(weights[layer.path].reshape(16, -1), hessian, Grid.symmetric(np.ones((16, 27)), 4))
    assert caught.value.diagnostics[0].code == "E911"
