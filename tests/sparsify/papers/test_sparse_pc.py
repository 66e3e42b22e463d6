"""Dang, Liu and Van den Broeck, "Sparse Probabilistic Circuits via Pruning and Growing" (2022)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.sparsity.circuits import (
    Circuit,
    Products,
    Sums,
    balanced,
    circuit_graph,
    drop_bound,
    em,
    flows,
    grown,
    log_likelihood,
    pruned,
    start,
    trimmed,
)
from architrave.sparsity.circuits.surgery import least_used
from architrave.testing import assert_backends_agree

WORLD = np.array(list(itertools.product(range(2), repeat=6)))
SIZES = [(6, 2, 3), (5, 2, 2), (3, 3, 2), (1, 4, 2)]


def learnt(steps: int = 3):
    """A circuit of six bits, of which neighbours are often equal, after a few steps."""
    circuit = balanced(6, 2, 3)
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (80, 3))
    x = np.repeat(bits, 2, axis=1) ^ (rng.random((80, 6)) < 0.1)
    return circuit, em(circuit, start(circuit), x, steps), x


@pytest.mark.parametrize("sizes", SIZES)
def test_probabilities_sum_to_one(sizes):
    circuit = balanced(*sizes)
    every = np.array(list(itertools.product(range(sizes[1]), repeat=sizes[0])))
    total = np.exp(log_likelihood(circuit, start(circuit, 3), every)).sum()
    assert total == pytest.approx(1, abs=1e-6)


def test_they_do_so_after_pruning_and_growing():
    circuit, weights, x = learnt()
    for share in (0.3, 0.6):
        circuit, weights = pruned(circuit, weights, flows(circuit, weights, x), share)
        circuit, weights = trimmed(circuit, weights)
        assert np.exp(log_likelihood(circuit, weights, WORLD)).sum() == pytest.approx(1, abs=1e-6)
        circuit, weights = grown(circuit, weights, noise=0.3, seed=1)
        assert np.exp(log_likelihood(circuit, weights, WORLD)).sum() == pytest.approx(1, abs=1e-6)


def test_growing_without_noise_keeps_the_function_and_doubles_the_nodes():
    circuit, weights, _ = learnt()
    larger, new = grown(circuit, weights, noise=0.0)
    before, after = log_likelihood(circuit, weights, WORLD), log_likelihood(larger, new, WORLD)
    assert np.abs(before - after).max() < 1e-6
    assert [layer.nodes for layer in larger.layers[:-1]] == [2 * layer.nodes for layer in circuit.layers[:-1]]
    assert len(larger.leaves) == 2 * len(circuit.leaves)
    noisy, others = grown(circuit, weights, noise=0.2)
    assert np.abs(before - log_likelihood(noisy, others, WORLD)).max() > 1e-3


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.61])
def test_the_share_of_pruned_edges_is_exact(share):
    circuit, weights, x = learnt()
    smaller, new = pruned(circuit, weights, flows(circuit, weights, x), share)
    assert circuit.edges - smaller.edges == math.floor(share * circuit.edges)
    assert sum(len(new[path]) for path in smaller.sums) == smaller.edges


@pytest.mark.parametrize("share", [0.04, 0.1, 0.15])
def test_the_likelihood_drops_by_no_more_than_the_bound(share):
    circuit, weights, x = learnt(10)
    flow = flows(circuit, weights, x)
    gone = least_used(circuit, flow, share)
    assert drop_bound(circuit, weights, x, least_used(circuit, flow, 0.6)) == math.inf
    smaller, new = pruned(circuit, weights, flow, share)
    drop = log_likelihood(circuit, weights, x).mean() - log_likelihood(smaller, new, x).mean()
    bound = drop_bound(circuit, weights, x, gone)
    assert 0 < bound < 1
    assert drop <= bound + 1e-9


def test_trimming_keeps_the_function():
    circuit, weights, x = learnt()
    circuit, weights = pruned(circuit, weights, flows(circuit, weights, x), 0.6)
    smaller, new = trimmed(circuit, weights)
    np.testing.assert_allclose(
        log_likelihood(smaller, new, WORLD), log_likelihood(circuit, weights, WORLD), rtol=0, atol=1e-9
    )
    assert len(smaller.leaves) < len(circuit.leaves)


def test_flows_are_how_often_edges_are_used():
    circuit, weights, x = learnt()
    found = flows(circuit, weights, x)
    assert all((flow >= -1e-9).all() for flow in found.values())
    last = f"layer.{len(circuit.layers) - 1}"
    assert found[last].sum() == pytest.approx(len(x))
    # Each variable is read once by each example.
    by_variable = np.bincount(circuit.leaves, found["leaves"].sum(axis=1))
    np.testing.assert_allclose(by_variable, len(x))


def test_each_step_of_em_raises_the_likelihood():
    circuit, _, x = learnt()
    weights, means = start(circuit, 1), []
    for _ in range(6):
        means.append(log_likelihood(circuit, weights, x).mean())
        weights = em(circuit, weights, x, smoothing=0.0)
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(means))
    assert means[-1] > means[0] + 0.2
    slow = em(circuit, weights, x, 2, rate=0.1, batch=20, seed=1)
    assert np.exp(log_likelihood(circuit, slow, WORLD)).sum() == pytest.approx(1)


def test_growing_and_learning_fit_better():
    circuit, weights, x = learnt(8)
    before = log_likelihood(circuit, weights, x).mean()
    flow = flows(circuit, weights, x)
    circuit, weights = grown(*trimmed(*pruned(circuit, weights, flow, 0.5)), noise=0.3)
    weights = em(circuit, weights, x, 12)
    assert log_likelihood(circuit, weights, x).mean() > before


def test_what_is_unknown_is_summed_over():
    circuit, weights, _ = learnt()
    half = WORLD[::8].copy()
    half[:, 3:] = -1
    whole = np.exp(log_likelihood(circuit, weights, WORLD)).reshape(8, 8).sum(axis=1)
    np.testing.assert_allclose(np.exp(log_likelihood(circuit, weights, half)), whole, rtol=1e-9)


def test_a_circuit_is_a_network_like_others():
    graph = circuit_graph(balanced(3, 2, 2))
    assert_backends_agree(
        graph, backends=["numpy", "torch"], sizes={"N": 3}, dtypes=["float64"], modes=["inference"], gradients=False
    )
    total = np.exp(architrave.interpret(graph, [WORLD[:8, 3:]], architrave.init(graph)).outputs[0]).sum()
    assert total == pytest.approx(1)


def test_what_cannot_be_is_refused():
    circuit, weights, x = learnt(0)
    flow = flows(circuit, weights, x)
    cases = [
        lambda: balanced(0, 2, 2),
        lambda: pruned(circuit, weights, flow, 0.99),
        lambda: pruned(circuit, weights, flow, -0.1),
        lambda: log_likelihood(circuit, weights, x[:, :5]),
        lambda: log_likelihood(circuit, weights, x + 1),
        lambda: em(circuit, weights, x[:0]),
        lambda: Circuit(1, 2, np.array([0]), (Products(1, np.array([[0, 0]])),)),
        lambda: Circuit(1, 2, np.array([0]), (Sums(1, np.array([[0, 1]])),)),
    ]
    for attempt in cases:
        with pytest.raises(ArchitraveError, match="E945"):
            attempt()
