"""Schaefer et al., "Augmenting Hessians with Inter-Layer Dependencies for Mixed-Precision PTQ" (2023)."""

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
from architrave.quantize.calibrate import calibrate
from architrave.quantize.grid import Grid
from architrave.quantize.hessian import curvatures, hessian_losses, traces
from architrave.quantize.mixed import bisected, dependencies, pipeline, ranking
from tests.quantize.networks import convs, error

LOSS = """
from std.linear import linear
model Loss()(x: [N, 3], y: [N, 2]) -> [] {
    z = x -> a: linear(3) -> tanh -> b: linear(2)
    return mean((z - y) * (z - y))
}
"""


def small():
    graph = architrave.loads(LOSS)
    rng = np.random.default_rng(0)
    weights = {path: w.astype(np.float64) for path, w in architrave.init(graph).items()}
    return graph, weights, (rng.normal(size=(20, 3)), rng.normal(size=(20, 2)))


def test_curvatures_are_those_of_differences():
    graph, weights, batch = small()
    paths = ["a.weight", "b.weight"]
    rng = np.random.default_rng(1)
    directions = [rng.normal(size=weights[path].shape) for path in paths]
    bent = curvatures(graph, paths)
    program, loss = architrave.compile(bent, "numpy"), architrave.compile(graph, "numpy")
    for i, path in enumerate(paths):
        alone = [v * (i == j) for j, v in enumerate(directions)]
        found = program({w.op.path: weights[w.op.path] for w in bent.weights}, *batch, *alone)[i]
        step = 1e-4
        ends = [loss({**weights, path: weights[path] + s * step * directions[i]}, *batch) for s in (-1, 0, 1)]
        np.testing.assert_allclose(found, (ends[0] - 2 * ends[1] + ends[2]) / step**2, rtol=1e-4)


def test_traces_are_those_of_the_whole_hessian():
    graph, weights, batch = small()
    paths = ["a.weight", "b.weight"]
    bent = curvatures(graph, paths)
    program = architrave.compile(bent, "numpy")
    read = {w.op.path: weights[w.op.path] for w in bent.weights}
    found = traces(graph, weights, [batch], paths, draws=1000)
    for i, path in enumerate(paths):
        exact = 0.0
        for j in range(weights[path].size):
            one = [np.zeros(weights[p].shape) for p in paths]
            one[i].flat[j] = 1
            exact += program(read, *batch, *one)[i]
        np.testing.assert_allclose(found[path], exact, rtol=0.05, atol=0.01)


@pytest.mark.parametrize("count", [1, 2, 5, 8, 13])
def test_bisection_measures_few_choices_and_keeps_the_budget(count):
    rng = np.random.default_rng(count)
    order = [f"w{i}" for i in range(count)]
    cost = {path: {16: 0.0, 8: c, 4: 5 * c} for path, c in zip(order, np.sort(rng.uniform(size=count)), strict=True)}

    def measure(bits):
        return 1 - sum(cost[path][b] for path, b in bits.items()) / (6 * count)

    for budget in np.linspace(0.5, 1, 7):
        found = bisected(measure, order, (16, 8, 4), budget)
        assert found.score == measure(found.bits) >= budget
        assert found.measured - 1 <= 2 * (math.ceil(math.log2(count)) + 1)
        eight = sum(b < 16 for b in found.bits.values())
        longest = max(
            k for k in range(count + 1) if measure({p: 8 if i < k else 16 for i, p in enumerate(order)}) >= budget
        )
        assert eight == longest
        assert all(found.bits[p] >= found.bits[q] for q, p in itertools.pairwise(order))


def test_a_budget_that_cannot_be_kept():
    with pytest.raises(ArchitraveError) as caught:
        bisected(lambda bits: 0.5, ["a"], (8, 4), 0.6)
    assert caught.value.diagnostics[0].code == "E918"


def test_without_dependencies_the_order_is_that_of_the_hessian():
    rng = np.random.default_rng(0)
    hessian = {f"w{i}": float(v) for i, v in enumerate(rng.uniform(size=9))}
    dependent = {path: float(v) for path, v in zip(hessian, rng.uniform(size=9), strict=True)}
    assert ranking(hessian, dependent, 0.0) == sorted(hessian, key=lambda p: hessian[p])
    assert ranking(hessian, dependent, 100.0) == sorted(hessian, key=lambda p: dependent[p])


def test_a_network_of_convolutions_under_a_budget():
    graph, weights, batches = convs()
    paths = [path for path in weights if path.endswith("weight")]
    exact = architrave.compile(graph, "numpy")(weights, *batches[0])
    (y,) = graph.outputs
    target = build.input("target", y.type)
    loss = replace(graph, inputs=(*graph.inputs, target), outputs=(build.mean((y - target) * (y - target)),))
    program = architrave.compile(graph, "numpy")

    def measure(bits):
        held = dict(weights)
        for path, b in bits.items():
            w = weights[path]
            held[path] = Grid.symmetric(w, b, tuple(range(1, w.ndim))).nearest(w)
        return -float(np.mean((program(held, *batches[0]) - exact) ** 2))

    trace = traces(loss, weights, [(*batches[0], exact)], paths, draws=4)
    order = ranking(hessian_losses(trace, weights, 4), dependencies(measure, paths, 4, 8))
    assert sorted(order) == sorted(paths)
    budget = 0.3 * measure(dict.fromkeys(paths, 4))
    found = bisected(measure, order, (8, 4), budget)
    assert found.score >= budget
    assert 0 < sum(b == 4 for b in found.bits.values()) < len(paths)


def test_passes_round_each_weight_to_its_bits():
    graph, weights, batches = convs()
    bits = {"stem.weight": 8, "one.weight": 4, "two.weight": 16, "three.weight": 4, "mid.weight": 2, "head.weight": 8}
    made = apply(graph, pipeline(bits))
    assert {site.path: site.op.bits for site in weight_sites(made.graph)} == {p: b for p, b in bits.items() if b < 16}
    assert {site.op.bits for site in activation_sites(made.graph)} == {8}
    ready = calibrate(made.graph, made.weights(weights), batches, backend="numpy")
    assert 0 < error(made.graph, ready, graph, weights, batches) < 1
