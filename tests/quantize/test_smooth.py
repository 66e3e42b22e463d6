"""Scales that move from activations into weights, and biases that make up for the mean of errors."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.quantize.weights.links import Link, links
from architrave.quantize.bias import BiasCorrection, corrected, mean_after_relu
from architrave.quantize.calibrate import calibrate
from architrave.quantize.layers import layers
from architrave.quantize.layerwise import Nearest, layerwise
from architrave.quantize.smooth import AWQ, SmoothQuant, migrated
from architrave.record.recorder import Recorder
from tests.quantize.networks import convs, error, tokens


def outliers():
    """The transformer with a few channels behind its norms a hundred times the others."""
    graph, weights, batches = tokens()
    for i in range(2):
        for norm in ("norm1", "norm2"):
            weights[f"layer.{i}.{norm}.weight"][[1, 5]] *= 40
    return graph, weights, batches


@pytest.mark.parametrize("network", [tokens, convs, outliers])
@pytest.mark.parametrize("method", [SmoothQuant(), SmoothQuant(0.8), AWQ(group=8), AWQ(bits=3, group=16)])
def test_the_function_stays(network, method):
    graph, weights, batches = network()
    new = migrated(graph, weights, batches, method)
    program = architrave.compile(graph, "numpy")
    y = program(weights, *batches[0])
    np.testing.assert_allclose(program(new, *batches[0]), y, atol=2e-5 * np.abs(y).max())
    assert any(not np.array_equal(new[path], weights[path]) for path in weights)


def test_smoothing_takes_outliers_out_of_activations():
    graph, weights, batches = outliers()
    errors = []
    for held in (weights, migrated(graph, weights, batches, SmoothQuant())):
        made = apply(graph, "quantize{symmetric=true bits=8 act=8}")
        ready = calibrate(made.graph, made.weights(held), batches, backend="numpy")
        errors.append(error(made.graph, ready, graph, weights, batches))
    assert errors[1] < 0.7 * errors[0]


def test_half_the_strength_gives_activations_and_weights_the_same_reach():
    graph, weights, batches = tokens()
    new = migrated(graph, weights, batches, SmoothQuant(0.5))
    link = next(link for link in links(graph) if isinstance(link, Link))
    value, _ = link.values[0]
    found = list(Recorder(graph, {"x": value}, "numpy").stream(new, batches))
    x = np.max([np.abs(batch["x"]).max((0, 1)) for batch in found], axis=0)
    w = np.max([np.abs(new[part.weight.op.path]).max(0) for part in link.after], axis=0)
    np.testing.assert_allclose(x, w, rtol=1e-5)


def test_awq_spares_the_channels_that_matter():
    graph, weights, batches = outliers()
    errors = []
    for held in (weights, migrated(graph, weights, batches, AWQ(bits=3, group=16))):
        made = apply(graph, "quantize{bits=3 act=0 group=16}")
        errors.append(error(made.graph, made.weights(held), graph, weights, batches))
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_that_cannot_be_had(strength):
    graph, weights, batches = tokens()
    with pytest.raises(ArchitraveError) as caught:
        migrated(graph, weights, batches, SmoothQuant(strength))
    assert caught.value.diagnostics[0].code == "E916"


def test_no_examples():
    graph, weights, _ = tokens()
    with pytest.raises(ArchitraveError) as caught:
        migrated(graph, weights, [], SmoothQuant())
    assert caught.value.diagnostics[0].code == "E912"


@pytest.mark.parametrize("network", [convs, tokens])
def test_corrected_biases_make_the_means_those_of_the_float_network(network):
    graph, weights, batches = network()
    made = apply(graph, "quantize{bits=3 act=0}")
    held = layerwise(made.graph, made.weights(weights), batches, Nearest())
    checked = []

    def method(task):
        new = BiasCorrection()(task)
        task.walk.weights |= new
        (result,) = task.layer.node.outputs
        axis = tuple(i for i in range(result.rank) if i != (1 if result.rank == 4 else result.rank - 1))
        exact, rounded = (np.concatenate([y for (y,) in task.record([result], e)]).mean(axis) for e in (True, False))
        np.testing.assert_allclose(rounded, exact, atol=1e-5) if new else None
        checked.append(bool(new))
        return new

    new = layerwise(made.graph, held, batches, method, original=made.weights(weights))
    assert sum(checked) == sum(layer.bias is not None for layer in layers(made.graph)) > 0
    assert error(made.graph, new, graph, weights, batches) < error(made.graph, held, graph, weights, batches)


def test_a_bias_is_corrected_without_data():
    rng = np.random.default_rng(0)
    weight, rounded = rng.normal(size=(6, 2, 3, 3)), np.round(rng.normal(size=(6, 2, 3, 3)) * 2) / 2
    mean, bias = rng.normal(size=6), rng.normal(size=6)
    new = corrected(weight, rounded, bias, mean, groups=3)
    for o in range(6):
        group = mean[2 * (o // 2) : 2 * (o // 2) + 2]
        exact = bias[o] + (weight[o].sum((1, 2)) * group).sum()
        np.testing.assert_allclose(new[o] + (rounded[o].sum((1, 2)) * group).sum(), exact)


def test_the_mean_of_a_normal_behind_relu():
    rng = np.random.default_rng(0)
    shift, scale = np.array([0.0, 1.0, -2.0, 0.5, -1.0]), np.array([1.0, -0.5, 1.0, 0.0, 0.0])
    drawn = np.maximum(rng.normal(size=(400_000, 5)) * scale + shift, 0).mean(0)
    np.testing.assert_allclose(mean_after_relu(shift, scale), drawn, atol=5e-3)
