"""Bits for each tensor: what they cost, what is lost by them, and the choices under a budget."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

import architrave
from architrave.ir import build
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.passes.quantize.rounding.sites import activation_sites, weight_sites
from architrave.passes.quantize.rounding.widths import widths, with_widths
from architrave.quantize.allocate import Choice, within
from architrave.quantize.budget import allotted, bit_operations, front, greedy, size_in_bits, time
from architrave.quantize.calibrate import calibrate
from architrave.quantize.front import plot_front
from architrave.quantize.hessian import traces
from architrave.quantize.mixed import bisected, dependencies, ranking
from architrave.quantize.sensitivity import (
    cross_entropy,
    curvature_losses,
    distance,
    divergence,
    measured,
    sensitivities,
)
from architrave.train.data import Dataset
from tests.quantize.networks import convs

LEVELS = (2, 4, 8)


@pytest.fixture(scope="module")
def network():
    """A rounded and calibrated network, with examples."""
    graph, weights, batches = convs()
    made = apply(graph, "quantize{symmetric=true}")
    return made.graph, calibrate(made.graph, made.weights(weights), batches, backend="numpy"), batches[:1]


def drawn(graph, seed=0):
    """Losses that fall with the bits, for weights or for all."""
    rng = np.random.default_rng(seed)
    return {path: {b: float(rng.uniform() * 4.0**-b) for b in LEVELS} for path in widths(graph)}


def weights_of(losses, graph):
    return {site.scale: losses[site.scale] for site in weight_sites(graph)}


@pytest.mark.parametrize("measure", [divergence, distance])
def test_fewer_bits_cost_more_of_weights_and_activations(network, measure):
    graph, weights, batches = network
    paths = ["stem.weight_scale", "head.weight_scale", activation_sites(graph)[1].scale]
    done = []
    far = measure(graph, weights, batches, backend="numpy")
    found = sensitivities(graph, weights, far, paths, LEVELS, done.append)
    assert len(done) == 9
    assert all(found[path][2] > found[path][4] > found[path][8] > 0 for path in paths)
    bare = with_widths(graph, dict.fromkeys(widths(graph), 0))
    assert far(bare.graph, bare.weights(weights)) == pytest.approx(0, abs=1e-12)


def test_losses_on_examples_with_labels(network):
    graph, weights, batches = network
    (images,) = batches[0]
    labels = np.arange(len(images)) % 5
    data = Dataset((images,), labels, "images")
    measure = measured(graph, weights, cross_entropy(data, backend="numpy"))
    y = architrave.compile(graph, "numpy")(weights, images).astype(np.float64)
    exact = np.log(np.exp(y).sum(-1)) - y[np.arange(len(y)), labels]
    np.testing.assert_allclose(measure({}), exact.mean(), rtol=1e-5)
    assert measure(dict.fromkeys(widths(graph), 2)) != measure({})
    with pytest.raises(ArchitraveError) as caught:
        cross_entropy(Dataset((images,), None, "images"), backend="numpy")(graph, weights)
    assert caught.value.diagnostics[0].code == "E915"


def test_curvature_losses_are_those_of_a_quadratic():
    network = architrave.loads("""
from std.linear import linear
model Net()(x: [N, 4]) -> [N, 3] { return x -> head: linear(3, bias = false) }
""")
    rng = np.random.default_rng(0)
    made = apply(network, "quantize{act=0}")
    weights = made.weights({"head.weight": rng.normal(size=(3, 4)).astype(np.float32)})
    (y,) = network.outputs
    loss = replace(network, outputs=(build.sum(y * y),))
    # Its Hessian is that of x'x for each output, and here 2 for each weight: of this the estimate is exact.
    x = np.sqrt(4) * np.linalg.qr(rng.normal(size=(4, 4)))[0].astype(np.float32) / 2
    trace = traces(loss, {"head.weight": weights["head.weight"]}, [(x,)], ["head.weight"], draws=2)
    assert trace["head.weight"] == pytest.approx(2 * 12, rel=1e-5)
    found = curvature_losses(made.graph, weights, trace, LEVELS)
    far = measured(made.graph, weights, distance(made.graph, weights, [(x,)], backend="numpy"))
    for bits, estimate in found["head.weight_scale"].items():
        assert estimate == pytest.approx(12 * far({"head.weight_scale": bits}), rel=1e-3)


def test_costs(network):
    graph, _, _ = network
    numbers = {site.scale: math.prod(site.value.shape) for site in weight_sites(graph)}
    size = size_in_bits(graph)
    assert size({}) == 8 * sum(numbers.values())
    assert size({"mid.weight_scale": 4}) == size({}) - 4 * numbers["mid.weight_scale"]
    assert size({"mid.weight_scale": 0}) == size({}) + 24 * numbers["mid.weight_scale"]
    macs = time(graph, lambda work: work.multiply_adds)({})
    assert time(graph)({}) == 64 * macs
    assert time(graph, sizes={"N": 3})({}) == 3 * 64 * macs
    head = next(site.scale for site in activation_sites(graph) if site.scale.startswith("head"))
    assert time(graph)({}) - time(graph)({"head.weight_scale": 2, head: 4}) == (64 - 8) * 32 * 5


@pytest.mark.parametrize("cost", [size_in_bits, time])
def test_the_front_is_that_of_all_choices(network, cost):
    graph, _, _ = network
    taken, losses = cost(graph), weights_of(drawn(graph), graph)
    found = front(losses, taken)
    tried = [dict(zip(losses, bits, strict=True)) for bits in itertools.product(LEVELS, repeat=len(losses))]
    everything = [(taken(bits), sum(losses[p][b] for p, b in bits.items())) for bits in tried]
    most, least = (pick(size for size, _ in everything) for pick in (max, min))
    slack = len(losses) * (most - least) / 4096
    assert found[0].size == least
    for choice in found:
        assert choice.size == taken(choice.bits)
        assert choice.loss == pytest.approx(sum(losses[p][b] for p, b in choice.bits.items()))
        assert not any(size <= choice.size - slack and loss < choice.loss - 1e-12 for size, loss in everything)
    for budget in np.linspace(least, most, 5):
        best = min(loss for size, loss in everything if size <= max(budget - slack, least))
        assert within(found, budget).loss <= best + 1e-12


@pytest.mark.parametrize("cost", [size_in_bits, time, lambda graph: time(graph, lambda w: bit_operations(w) ** 0.5)])
def test_greedy_choices_keep_the_budget(network, cost):
    graph, _, _ = network
    taken, losses = cost(graph), drawn(graph, 1)
    if cost is size_in_bits:
        losses = weights_of(losses, graph)
    most, least = (taken(dict.fromkeys(losses, bits)) for bits in (8, 2))
    worst = []
    for share in (1.0, 0.8, 0.5, 0.2, 0.0):
        choice = greedy(losses, taken, budget := least + share * (most - least))
        assert choice.size == taken(choice.bits) <= budget
        worst.append(choice.loss)
    assert set(greedy(losses, taken, most).bits.values()) == {8}
    assert worst == sorted(worst)
    with pytest.raises(ArchitraveError) as caught:
        greedy(losses, taken, least / 2)
    assert caught.value.diagnostics[0].code == "E918"


def test_greedy_is_near_the_front(network):
    graph, _, _ = network
    taken, losses = size_in_bits(graph), weights_of(drawn(graph, 2), graph)
    best = front(losses, taken)
    for budget in np.linspace(taken(dict.fromkeys(losses, 3)), taken({}), 5):
        near = greedy(losses, taken, budget)
        assert within(best, near.size).loss <= near.loss + 1e-12


@pytest.mark.parametrize("budget", [2, 3, 4.5, 9])
def test_bits_on_average_that_are_no_worse_than_even_ones(network, budget):
    graph, weights, batches = network
    change = distance(graph, weights, batches, backend="numpy")
    found = allotted(graph, weights, change, 8, budget)
    size, exact = size_in_bits(graph), {site.scale: 0 for site in activation_sites(graph)}
    even = dict.fromkeys(found, min(int(budget), 8))
    assert size(found) <= budget * size(dict.fromkeys(found, 1))
    far = measured(graph, weights, change)
    assert far({**exact, **found}) <= far({**exact, **even})
    if budget in (2, 9):
        assert found == even


def test_bisection_over_the_network_itself(network):
    """Weights and activations, ranked by what was measured of each alone and of each among others in few bits."""
    graph, weights, batches = network
    paths = ["stem.weight_scale", "two.weight_scale", "mid.weight_scale", activation_sites(graph)[0].scale]
    far = measured(graph, weights, distance(graph, weights, batches, backend="numpy"))
    alone = {path: far({path: 4}) for path in paths}
    order = ranking(alone, dependencies(lambda bits: -far(bits), paths, 4, 8))
    budget = -0.5 * (far({}) + far(dict.fromkeys(paths, 4)))
    found = bisected(lambda bits: -far(bits), order, (8, 4), budget)
    assert found.score == -far(found.bits) >= budget
    assert 0 < list(found.bits.values()).count(4) < len(paths)
    assert widths(with_widths(graph, found.bits).graph).items() >= found.bits.items()


@pytest.mark.parametrize(("name", "start"), [("front.png", b"\x89PNG"), ("front.svg", b"<?xml")])
def test_a_picture_of_the_front(tmp_path, name, start):
    points = [Choice(10, 0.5, {"a": 2, "b": 2}), Choice(20, 0.01, {"a": 4, "b": 2}), Choice(40, 0.0, {"a": 4, "b": 8})]
    plot_front(points, tmp_path / name, points[1])
    assert (tmp_path / name).read_bytes().startswith(start)
    plot_front([], tmp_path / name)
