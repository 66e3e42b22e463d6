"""Distributions of the standard library: the right ones, and the same on every backend."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.autodiff import with_gradients
from architrave.ir.graph import Graph
from architrave.ir.interpret import interpret

Array = np.ndarray[Any, Any]
BACKENDS = ("numpy", "torch", "jax")
COUNT = 20_000
KEY = (5, 2)
X = np.random.default_rng(0).normal(size=(4, 3))
LOGITS = np.log([0.5, 0.2, 0.3])


def model(expression: str, inputs: str = "x: [4, 3]") -> Graph:
    names = (
        "exponential, gumbel, laplace, truncated_normal, normal_quantile, randint, permutation, shuffle, categorical, "
        "sample_without_replacement, gumbel_softmax"
    )
    blocks = "from std.regularize import dropout, drop_path, spatial_dropout, drop_block"
    return architrave.loads(f"from std.random import {names}\n{blocks}\nmodel M()({inputs}) = {expression}")


def drawn(expression: str, x: Array = X, training: bool = False) -> Array:
    inputs = f"x: [{', '.join(map(str, x.shape))}]"
    return interpret(model(expression, inputs), [x], training=training, key=KEY).outputs[0]


@np.vectorize
def phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def truncated(lo: float, hi: float) -> Callable[[Array], Array]:
    return lambda x: (phi(x) - phi(lo)) / (phi(hi) - phi(lo))


# What is drawn, its cumulative distribution, mean and variance.
CONTINUOUS = {
    "random.uniform([20000])": (lambda x: x, 1 / 2, 1 / 12),
    "random.uniform([20000], -1, 3)": (lambda x: (x + 1) / 4, 1.0, 16 / 12),
    "random.normal([20000])": (phi, 0.0, 1.0),
    "exponential([20000])": (lambda x: 1 - np.exp(-x), 1.0, 1.0),
    "exponential([20000], 4.0)": (lambda x: 1 - np.exp(-4 * x), 1 / 4, 1 / 16),
    "gumbel([20000])": (lambda x: np.exp(-np.exp(-x)), 0.5772156649, math.pi**2 / 6),
    "laplace([20000])": (lambda x: np.where(x < 0, np.exp(x) / 2, 1 - np.exp(-x) / 2), 0.0, 2.0),
    "laplace([20000], 3.0)": (lambda x: np.where(x < 0, np.exp(x / 3) / 2, 1 - np.exp(-x / 3) / 2), 0.0, 18.0),
    "truncated_normal([20000])": (truncated(-2, 2), 0.0, 0.7737413035),
    "truncated_normal([20000], 0.5, 3.0)": (truncated(0.5, 3.0), 1.1296, 0.2500),
}


@pytest.mark.parametrize("expression", CONTINUOUS)
def test_distribution(expression: str) -> None:
    """By the statistic of Kolmogorov and Smirnov, at 1 %, and by moments, at 4 standard errors."""
    cumulative, mean, variance = CONTINUOUS[expression]
    x = np.sort(drawn(expression))
    below = np.arange(COUNT) / COUNT
    distance = max(np.max(cumulative(x) - below), np.max(below + 1 / COUNT - cumulative(x)))
    assert distance < 1.63 / math.sqrt(COUNT)
    assert abs(x.mean() - mean) < 4 * math.sqrt(variance / COUNT)
    fourth = np.mean((x - x.mean()) ** 4)
    assert abs(x.var() - variance) < 4 * math.sqrt((fourth - variance**2) / COUNT)


CHANCES = {
    "randint([20000], -2, 3)": dict.fromkeys(range(-2, 3), 1 / 5),
    "cast(random.bernoulli(0.3, [20000]), i64)": {0: 0.7, 1: 0.3},
    "categorical(expand(x, [20000, 3]))": {0: 0.5, 1: 0.2, 2: 0.3},
    "sample_without_replacement(expand(x, [20000, 3]), 2)[:, 0]": {0: 0.5, 1: 0.2, 2: 0.3},
    "sample_without_replacement(expand(x, [20000, 3]), 2)[:, 1]": {
        0: 0.2 * 0.5 / 0.8 + 0.3 * 0.5 / 0.7,
        1: 0.5 * 0.2 / 0.5 + 0.3 * 0.2 / 0.7,
        2: 0.5 * 0.3 / 0.5 + 0.2 * 0.3 / 0.8,
    },
    "argmax(gumbel_softmax(expand(x, [20000, 3]), 0.7, hard = true), axis = 1)": {0: 0.5, 1: 0.2, 2: 0.3},
}


@pytest.mark.parametrize("expression", CHANCES)
def test_chances(expression: str) -> None:
    values, counts = np.unique(drawn(expression, LOGITS), return_counts=True)
    assert values.tolist() == list(CHANCES[expression])
    for count, chance in zip(counts, CHANCES[expression].values(), strict=True):
        assert abs(count / COUNT - chance) < 4 * math.sqrt(chance * (1 - chance) / COUNT)


def test_permutations_hold_every_number_once_and_are_all_alike() -> None:
    assert sorted(drawn("permutation(100)")) == list(range(100))
    columns = drawn(f"stack([{', '.join(['permutation(3)'] * 500)}], axis = 0)")
    seen, counts = np.unique(columns, axis=0, return_counts=True)
    assert len(seen) == 6
    assert abs(counts - 500 / 6).max() < 4 * math.sqrt(500 * 5 / 36)
    np.testing.assert_array_equal(np.sort(drawn("shuffle(x)"), axis=0), np.sort(X, axis=0))


def test_ends_of_the_uniform_numbers_give_finite_ones() -> None:
    ends = np.array([2.0**-25, 1 - 2.0**-24], np.float32)
    graph = architrave.loads("from std.random import normal_quantile\nmodel M()(x: [2]) = normal_quantile(x)")
    found = architrave.compile(graph, "numpy")({}, ends)
    np.testing.assert_allclose(phi(found), ends, rtol=1e-5)
    assert np.isfinite(-np.log(-np.log(ends))).all()
    assert (2 * abs(ends - np.float32(0.5)) < 1).all()


EVERY = [
    *("exponential([40])", "gumbel([40])", "laplace([40])", "truncated_normal([40])", "randint([40], -9, 99)"),
    *("permutation(40)", "shuffle(x)", "categorical(x)", "sample_without_replacement(x, 2)", "gumbel_softmax(x)"),
    *("gumbel_softmax(x, 0.1, hard = true)", "random.bits([5])", "truncated_normal([40], 1, 5)"),
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_draws_the_same(backend: str) -> None:
    if backend != "numpy":
        pytest.importorskip(backend)
    graph = model(f"({', '.join(EVERY)})")
    program = architrave.compile(graph, backend)
    found, wanted = program({}, X, key=KEY), interpret(graph, [X], key=KEY).outputs
    for expression, one, other in zip(EVERY, found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12, err_msg=expression)


def test_hard_choices_have_the_gradient_of_soft_ones() -> None:
    graphs = [with_gradients(model(f"gumbel_softmax(x, 0.5{hard}) * arange(3)")) for hard in ("", ", hard = true")]
    soft, hard = (interpret(graph, [X, np.ones((4, 3))], key=KEY).outputs for graph in graphs)
    np.testing.assert_allclose(hard[1], soft[1], atol=1e-15)
    np.testing.assert_allclose(np.sort(hard[0], axis=1)[:, :2] * [1, 0], 0, atol=1e-12)


IMAGE = np.random.default_rng(1).uniform(1, 2, (20, 30, 12, 10))


@pytest.mark.parametrize("expression", ["dropout(0.3)", "drop_path(0.3)", "spatial_dropout(0.3)", "drop_block(0.3, 3)"])
def test_noise_keeps_the_mean_and_is_for_training_alone(expression: str) -> None:
    inputs = f"x: [{', '.join(map(str, IMAGE.shape))}]"
    graph = model(f"x -> {expression}", inputs)
    (still,) = interpret(graph, [IMAGE]).outputs
    np.testing.assert_array_equal(still, IMAGE)
    (noisy,) = interpret(graph, [IMAGE], training=True, key=KEY).outputs
    cells = {"drop_path": 20, "spatial_dropout": 600, "drop_block": 8000}.get(expression.partition("(")[0], 72_000)
    dropped = np.mean(noisy == 0)
    slack = 0.05 if expression.startswith("drop_block") else 0.0  # squares may overlap
    assert abs(dropped - 0.3) < slack + 4 * math.sqrt(0.21 / cells)
    kept = noisy != 0
    scale = 1 / (1 - dropped) if expression.startswith("drop_block") else 1 / 0.7
    np.testing.assert_allclose(noisy[kept], IMAGE[kept] * scale, rtol=1e-12)


def test_what_is_dropped_has_its_shape() -> None:
    channels = drawn("x -> spatial_dropout(0.5)", IMAGE, training=True) == 0
    assert (channels == channels[:, :, :1, :1]).all()
    assert 0 < channels.mean() < 1
    ones = np.ones((1, 1, 40, 40))
    gone = drawn("x -> drop_block(0.02, 4)", ones, training=True)[0, 0] == 0
    windows = np.lib.stride_tricks.sliding_window_view(gone, (4, 4)).all((2, 3))
    covered = np.zeros_like(gone)
    for row, column in np.argwhere(windows):
        covered[row : row + 4, column : column + 4] = True
    assert gone.any()
    assert (covered == gone).all()
