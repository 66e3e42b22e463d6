"""masked-bnn: perceptrons whose hidden nodes are there or not, with a prior over both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.autodiff import value_and_grad
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import ArchitraveError
from architrave.sparsity.networks.nodes import sliced

NETWORK = architrave.loads("""
from std.bayesian import masked_node_mlp
model Net(rate: float = 0.7)(x: [N, 5]) -> ([N, 2], []) {
    (y, log_prior) = x -> mlp: masked_node_mlp([12, 9], 2, rate = rate)
    return (y, log_prior)
}
""")
DENSE = architrave.loads("""
from std.linear import linear
model Net()(x: [N, 5]) -> [N, 2] = x -> a: linear(12) -> relu -> b: linear(9) -> relu -> head: linear(2)
""")
NODES = ("mlp.layers.0.nodes", "mlp.layers.1.nodes")
rng = np.random.default_rng(0)
X = rng.normal(size=(20, 5))


def weights(*nodes: Sequence[float]) -> dict[str, Any]:
    found = {path: w.astype(np.float64) for path, w in architrave.init(NETWORK, dtype=np.float64).items()}
    return {**found, **{path: np.asarray(z, np.float64) for path, z in zip(NODES, nodes, strict=False)}}


def drawn(seed: int) -> list[Any]:
    return [(np.random.default_rng((seed, i)).random(n) < 0.5).astype(np.float64) for i, n in enumerate((12, 9))]


@pytest.mark.parametrize("nodes", [drawn(0), drawn(1), [np.eye(12)[4], np.ones(9)], [np.ones(12), np.ones(9)]])
def test_the_sliced_network_is_the_masked_one(nodes: list[Any]) -> None:
    held = weights(*nodes)
    small = sliced(NETWORK, held)
    found = small.weights(held)
    counts = [int(z.sum()) for z in nodes]
    assert found["mlp.layers.0.weight"].shape == (counts[0], 5)
    assert found["mlp.layers.1.weight"].shape == (counts[1], counts[0])
    assert found["mlp.head.weight"].shape == (2, counts[1])
    y, _ = architrave.compile(NETWORK, "numpy")(held, X)
    for backend in ("numpy", "torch"):
        np.testing.assert_allclose(architrave.compile(small.graph, backend)(found, X), y, atol=1e-12)


def test_with_all_nodes_it_is_the_dense_network() -> None:
    held = weights()
    names = {"a": "mlp.layers.0", "b": "mlp.layers.1", "head": "mlp.head"}
    dense = {path: held[".".join([names[path.split(".")[0]], path.split(".")[1]])] for path in architrave.init(DENSE)}
    y, _ = architrave.compile(NETWORK, "numpy")(held, X)
    np.testing.assert_allclose(architrave.compile(DENSE, "numpy")(dense, X), y, atol=1e-12)


def test_the_prior_of_nodes_depends_on_their_number_alone() -> None:
    """And its chances of all choices, up to a constant, are those of the counts."""
    prior = architrave.compile(
        architrave.loads("""
        from std.bayesian import node_log_prior
        model Prior()(nodes: [6]) -> [] = node_log_prior(nodes, rate = 0.7)
        """),
        "numpy",
    )
    chances: dict[int, list[float]] = {}
    for number in range(2**6):
        nodes = np.array([number >> i & 1 for i in range(6)], np.float64)
        chances.setdefault(int(nodes.sum()), []).append(math.exp(prior({}, nodes)))
    for count, found in chances.items():
        np.testing.assert_allclose(found, found[0], rtol=1e-12)
        assert sum(found) == pytest.approx(math.exp(-0.7 * count))


def test_a_sampler_finds_the_posterior_in_the_graph() -> None:
    """Metropolis flips of nodes and steps along the gradient need no more than the log prior and the output."""
    program = architrave.compile(NETWORK, "numpy")
    held = weights(*drawn(3))
    target = X[:, :2] - X[:, 1:3]

    def log_posterior(nodes: list[Any]) -> float:
        y, log_prior = program({**held, **dict(zip(NODES, nodes, strict=True))}, X)
        return float(log_prior) - float(np.square(y - target).sum()) / 2

    nodes = drawn(3)
    now = log_posterior(nodes)
    chain = np.random.default_rng(0)
    accepted = 0
    for _ in range(60):
        layer = chain.integers(2)
        flipped = [z.copy() for z in nodes]
        place = chain.integers(len(flipped[layer]))
        flipped[layer][place] = 1 - flipped[layer][place]
        new = log_posterior(flipped)
        if flipped[layer].any() and math.log(chain.random()) < new - now:
            nodes, now, accepted = flipped, new, accepted + 1
    assert 0 < accepted < 60
    assert now == pytest.approx(log_posterior(nodes))
    # Weights of nodes that are not there feel their prior alone.
    both = replace(NETWORK, outputs=NETWORK.outputs[1:])
    first = [w for w in both.weights if path_of(w) == "mlp.layers.0.weight"]
    _, slope = architrave.compile(value_and_grad(both, first), "numpy")(held, X)
    np.testing.assert_allclose(slope, -held["mlp.layers.0.weight"])


def test_what_is_refused() -> None:
    with pytest.raises(ArchitraveError, match="E924"):
        sliced(DENSE, architrave.init(DENSE))
    with pytest.raises(ArchitraveError, match="E921"):
        sliced(NETWORK, weights(np.zeros(12)))
    with pytest.raises(ArchitraveError, match="E927"):
        sliced(NETWORK, weights(np.full(12, np.nan)))
