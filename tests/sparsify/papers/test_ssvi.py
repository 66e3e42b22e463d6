"""ssvi: normal posteriors over exactly K weights, and the swaps that move them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import ArchitraveError
from architrave.passes import apply
from architrave.sparsity.learning.bayesian import SSVI, deviation, elbo, posterior, signal_to_noise
from architrave.sparsity.masks.masked import kept, layers, masks
from architrave.sparsity.scores.methods import METHODS
from architrave.sparsity.scores.plan import Plan, Task
from architrave.train import Adam, Dataset, Loop, Objective, Recipe, Schedule, Trainer, open_data, run

SOURCE = """
from std.bayesian import bayesian_conv2d, bayesian_linear
from std.conv import global_avg_pool

model Net(prior: float = 1.0)(x: [N, 2, 6, 6]) -> ([N, 3], []) {
    (x, kl) = x -> a: bayesian_conv2d(8, prior = prior)
    (x, more) = relu(x) -> b: bayesian_conv2d(8, stride = 2, prior = prior)
    (y, last) = relu(x) -> global_avg_pool -> c: bayesian_linear(3, prior = prior)
    return (y, kl + more + last)
}
"""
PLAIN = """
from std.conv import conv2d, global_avg_pool
from std.linear import linear

model Net()(x: [N, 2, 6, 6]) -> [N, 3] {
    return x -> a: conv2d(8) -> relu -> b: conv2d(8, stride = 2) -> relu -> global_avg_pool -> c: linear(3)
}
"""
NETWORK = architrave.loads(SOURCE)
rng = np.random.default_rng(0)
DATA = Dataset((rng.normal(size=(48, 2, 6, 6)).astype(np.float32),), rng.integers(0, 3, 48))
COUNT = 40


def sparse(graph: Graph, density: float, seed: int = 0) -> dict[str, Array]:
    plan = Plan(density, "random", distribution="global", seed=seed)
    return METHODS["random"](Task(graph, architrave.init(graph), plan))


def trainer(backend: str = "numpy", dtype: str = "float32") -> Trainer:
    target = DATA.target_type(NETWORK)
    graph = elbo(NETWORK, Objective("cross_entropy"), target, len(DATA))
    recipe = Recipe(Adam(), Objective())
    return Trainer(graph, recipe, Schedule(1e-2, 100), backend=backend, dtype=dtype, weights=sparse(graph, COUNT / 738))


@dataclass
class Watch:
    inner: SSVI
    seen: list[tuple[dict[str, Array], dict[str, Array]]] = field(default_factory=list)

    def __call__(self, one: Trainer, batch: Sequence[Any]) -> None:
        before = one.weights()
        self.inner(one, batch)
        self.seen.append((before, one.weights()))


def test_there_are_as_many_weights_after_each_swap() -> None:
    watch = Watch(SSVI(every=2, fraction=0.3, until=100))
    one = trainer()
    run(one, DATA, Loop(4, 16, refresh=[watch]))
    moved = 0
    for before, after in watch.seen:
        old, new = (masks(one.network, weights) for weights in (before, after))
        assert kept(old) == kept(new) == COUNT
        moved += sum(int((new[path] & ~old[path]).sum()) for path in new)
        for path, mask in new.items():
            assert not after[path][~mask].any()
            grown = mask & ~old[path]
            assert not after[path][grown].any()
            np.testing.assert_allclose(np.exp(after[deviation(path)][grown]), 0.02, rtol=1e-6)
    assert moved > 20
    # Both move over all layers together: how many each has changes.
    first, last = (masks(one.network, weights) for weights in (watch.seen[0][0], watch.seen[-1][1]))
    assert any(first[path].sum() != last[path].sum() for path in first)


def test_what_goes_has_the_least_signal_and_what_grows_the_largest_gradients() -> None:
    one = trainer("torch")
    batch = DATA.taken(np.arange(16)).arrays
    for _ in range(3):
        one.train(*batch)
    swap = SSVI(every=1, fraction=0.3)
    slopes, before = swap.slopes(one, batch), one.weights()
    old = masks(one.network, before)
    swap(one, batch)
    new = masks(one.network, one.weights())
    ratios = {path: signal_to_noise(before[path], np.exp(before[deviation(path)])) for path in old}

    def all_of(values: dict[str, Array], where: Any) -> Array:
        return np.concatenate([values[path][where(old[path], new[path])] for path in old])

    assert len(all_of(ratios, lambda o, n: o & ~n)) == round(0.3 * COUNT)
    assert all_of(ratios, lambda o, n: o & ~n).max() <= all_of(ratios, lambda o, n: o & n).min()
    sizes = {path: np.abs(slope) for path, slope in slopes.items()}
    assert all_of(sizes, lambda o, n: ~o & n).min() >= all_of(sizes, lambda o, n: ~o & ~n).max()


def test_the_signal_for_the_noise() -> None:
    draws = np.random.default_rng(1).normal(size=200_000)
    for m, s in ((0.0, 1.0), (0.5, 1.0), (-2.0, 0.5), (0.3, 0.02)):
        sizes = np.abs(m + s * draws)
        assert signal_to_noise(np.array(m), np.array(s)) == pytest.approx(sizes.mean() / sizes.std(), rel=0.01)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_without_noise_it_is_the_sparse_network(backend: str) -> None:
    weights = sparse(NETWORK, 0.2)
    plain = architrave.loads(PLAIN)
    held = {path: weights[path] for path in architrave.init(plain)}
    x = DATA.inputs[0]
    y, _ = architrave.compile(NETWORK, backend)(weights, x)
    np.testing.assert_allclose(y, architrave.compile(plain, backend)(held, x), rtol=1e-5, atol=1e-6)
    # Nor is there any in training where the deviations are 0.
    still = {path: np.full_like(w, -30) if path.endswith("log_std") else w for path, w in weights.items()}
    z, _ = architrave.compile(NETWORK, backend)(still, x, training=True)
    np.testing.assert_allclose(z, y, rtol=1e-5, atol=1e-6)


def test_training_draws_what_the_posterior_says() -> None:
    """The mean and the deviation of results over many draws are those of sums of random weights."""
    network = architrave.loads("""
    from std.bayesian import bayesian_linear
    model Net()(x: [N, 6]) -> ([N, 3], []) = x -> a: bayesian_linear(3, std = 0.5)
    """)
    weights = sparse(network, 0.5)
    x = np.repeat(rng.normal(size=(1, 6)).astype(np.float32), 20_000, axis=0)
    y, _ = architrave.compile(network, "numpy")(weights, x, training=True)
    mask = weights["a.weight_mask"]
    np.testing.assert_allclose(y.mean(0), x[0] @ (weights["a.weight"] * mask).T + weights["a.bias"], atol=0.02)
    np.testing.assert_allclose(y.std(0), np.sqrt(x[0] ** 2 @ (0.25 * mask).T), rtol=0.03)


def test_the_divergence() -> None:
    """0 of the prior from itself, the formula for others, and nothing for weights that are not there."""
    network = architrave.loads(SOURCE, prior=1.0)
    found = architrave.compile(network, "numpy")
    weights = architrave.init(network)
    same = {p: np.zeros_like(w) if p.endswith(("weight", "log_std")) else w for p, w in weights.items()}
    assert found(same, DATA.inputs[0])[1] == 0
    some = sparse(network, 0.3)
    wide = architrave.loads(SOURCE, prior=2.0)
    for graph, prior in ((network, 1.0), (wide, 2.0)):
        expected = 0.0
        for mean, std in posterior(graph, some).values():
            mean, std = mean.astype(np.float64), std.astype(np.float64)
            expected += (np.log(prior / std) + (std**2 + mean**2) / (2 * prior**2) - 0.5).sum()
        assert architrave.compile(graph, "numpy")(some, DATA.inputs[0])[1] == pytest.approx(expected, rel=1e-5)


def test_what_is_stored() -> None:
    """At a sparsity of 95 % two numbers for each weight that is there are a tenth of the dense numbers."""
    network = architrave.loads("""
    from std.bayesian import bayesian_mlp
    model Net()(x: [N, 20]) -> ([N, 10], []) = x -> mlp: bayesian_mlp([40], 10)
    """)
    weights = sparse(network, 0.05)
    dense = sum(layer.size for layer in layers(network))
    stored = sum(len(mean) + len(std) for mean, std in posterior(network, weights).values())
    assert stored == 0.1 * dense


def test_backends_train_alike() -> None:
    found = []
    for backend in ("numpy", "torch"):
        outcome = run(trainer(backend, "float64"), DATA, Loop(2, 16, refresh=[SSVI(every=2)]))
        found.append(outcome.weights)
    for path, mask in masks(NETWORK, found[0]).items():
        np.testing.assert_array_equal(mask, masks(NETWORK, found[1])[path])


def test_digits() -> None:
    """A tenth of the weights of a perceptron tells digits apart, and says what it is not sure of."""
    network = architrave.loads("""
    from std.bayesian import bayesian_mlp
    model Net()(image: [N, 64]) -> ([N, 10], []) = image -> mlp: bayesian_mlp([64], 10, prior = 0.3)
    """)
    train, test = open_data("digits", network)
    assert test is not None
    graph = elbo(network, Objective("cross_entropy"), train.target_type(network), len(train))
    steps = 12 * train.steps(64)
    one = Trainer(graph, Recipe(Adam(), Objective()), Schedule(1e-2, steps, "cosine"), weights=sparse(graph, 0.1))
    run(one, train, Loop(12, 64, refresh=[SSVI(every=train.steps(64), fraction=0.2, until=0.75 * steps)]))
    weights = one.weights()
    assert kept(masks(network, weights)) == round(0.1 * (64 * 64 + 640))
    (x,), labels = test.inputs, test.target
    program = architrave.compile(network, "numpy")
    assert (program(weights, x)[0].argmax(1) == labels).mean() > 0.85
    draws = [program(weights, x, training=True, key=(0, i))[0] for i in range(8)]
    assert np.std(draws, axis=0).mean() > 0.05


def test_what_is_refused() -> None:
    plain = architrave.loads(PLAIN)
    with pytest.raises(ArchitraveError, match="E543"):
        elbo(plain, Objective("cross_entropy"), DATA.target_type(plain), 10)
    masked = apply(plain, "mask")
    recipe = Recipe(Adam(), Objective("cross_entropy"))
    one = Trainer(masked.graph, recipe, Schedule(1e-2, 10), DATA.target_type(plain), backend="numpy")
    batch = DATA.taken(np.arange(16)).arrays
    one.train(*batch)
    with pytest.raises(ArchitraveError, match="E924"):
        SSVI(every=1)(one, batch)
