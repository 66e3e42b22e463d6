"""INSTA-BNN: thresholds that follow each sample."""

from typing import Any

import numpy as np
import pytest

import architrave
from tests.quantize.papers.binary import drawn, network, packed_product, value, windows

RNG: Any = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 6, 5))


def test_without_statistics_it_is_a_learned_threshold() -> None:
    shift = RNG.normal(size=4)
    weights = {"s.shift": shift, "s.mean_gain": np.zeros(4), "s.cube_gain": np.zeros(4)}
    found = value("x -> s: instance_sign", X, weights=weights)
    np.testing.assert_array_equal(found, value("x -> s: shifted_sign", X, weights={"s.shift": shift}))
    assert set(np.unique(found)) == {-1.0, 1.0}


def test_the_threshold_is_made_of_moments() -> None:
    weights = {f"s.{name}": RNG.normal(size=4) for name in ("shift", "mean_gain", "cube_gain")}
    moments = X.mean((2, 3)), (X**3).mean((2, 3))
    threshold = weights["s.shift"] + weights["s.mean_gain"] * moments[0] + weights["s.cube_gain"] * moments[1]
    expected = np.where(threshold[:, :, None, None] <= X, 1, -1)
    np.testing.assert_array_equal(value("x -> s: instance_sign", X, weights=weights), expected)


@pytest.mark.parametrize("block", ["instance_sign", "instance_sign(2)"])
def test_the_threshold_of_a_sample_ignores_the_others(block: str) -> None:
    graph = network(f"x -> s: {block}", "x: [N, 4, 6, 5]")
    weights, changed = drawn(graph), X.copy()
    changed[1:] = 5 * RNG.normal(size=changed[1:].shape)
    program = architrave.compile(graph, backend="numpy")
    np.testing.assert_array_equal(program(weights, changed)[0], program(weights, X)[0])
    assert (program(weights, changed)[1:] != program(weights, X)[1:]).any()


def test_a_gate_that_has_learnt_nothing_changes_nothing() -> None:
    graph = network("x -> s: instance_sign(2)", "x: [N, 4, 6, 5]")
    weights = drawn(graph) | {"s.excite": np.zeros((4, 2))}
    plain = {path: w for path, w in weights.items() if path not in ("s.squeeze", "s.excite")}
    found = architrave.compile(graph, backend="numpy")(weights, X)
    np.testing.assert_array_equal(found, value("x -> s: instance_sign", X, weights=plain))


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_counting_bits_gives_its_convolution(backend: str) -> None:
    method = "[instance_sign, clipped, none, none]"
    graph = network(f"x -> bn: batch_norm -> c: binary_conv(5, method = {method}, padding = 0)", "x: [N, 4, 6, 5]")
    weights = {path: w.astype(np.float32) for path, w in drawn(graph).items()}
    given = X.astype(np.float32)
    found = architrave.compile(graph, backend=backend)(weights, given)
    signs = network("x -> bn: batch_norm -> c.sign: instance_sign", "x: [N, 4, 6, 5]")
    bits = architrave.compile(signs, backend=backend)({p: w for p, w in weights.items() if p != "c.weight"}, given)
    rows = windows(bits, 3)
    filters = np.where(weights["c.weight"] >= 0, 1, -1).reshape(5, 36)
    counted = packed_product(rows.reshape(-1, 36), filters).reshape(*rows.shape[:3], 5)
    np.testing.assert_array_equal(found, counted.transpose(0, 3, 1, 2))
