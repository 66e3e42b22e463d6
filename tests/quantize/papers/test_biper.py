"""BiPer: a square wave whose gradient is that of the sine with its period."""

from typing import Any

import numpy as np
import pytest

import architrave
from architrave.ir.types import DType, TensorType
from architrave.passes import apply
from architrave.train import AdamW, Objective, Recipe, Schedule, Trainer
from tests.quantize.papers.binary import network, slopes, value

RNG: Any = np.random.default_rng(0)
RATES = (0.5, 1.0, 3.0, 20.0)


@pytest.mark.parametrize("rate", RATES)
def test_the_wave(rate: float) -> None:
    x = RNG.uniform(-6, 6, size=(50, 40))
    y = value(f"periodic(x, {rate})", x)
    assert set(np.unique(y)) == {-1.0, 1.0}
    np.testing.assert_array_equal(y, value(f"periodic(x, {rate})", x + 2 * np.pi / rate))
    near = np.concatenate([RNG.uniform(-1, 1, size=1000), [0.0]]) * np.pi / rate
    np.testing.assert_array_equal(value(f"periodic(x, {rate})", near), np.where(near >= 0, 1, -1))


@pytest.mark.parametrize("rate", RATES)
def test_its_gradient_is_a_cosine(rate: float) -> None:
    x = RNG.uniform(-6, 6, size=(20, 30))
    for backend, found in slopes(f"periodic(x, {rate})", x).items():
        np.testing.assert_allclose(found, rate * np.cos(rate * x), atol=1e-6, err_msg=backend)


def test_inputs_are_bits_first_and_weights_later() -> None:
    body = "x -> a: linear(12) -> b: binary_linear(12, method = biper(2.0, {})) -> c: linear(3)"
    x = RNG.normal(size=(64, 4))
    target = (x[:, 0] > 0) + 1 * (x[:, 1] > 0)
    first = _trained(network(body.format("false")), x, target)
    graph = network(body.format("true"))
    second = _trained(graph, x, target, first)
    bits = apply(graph, "inference,hoist")
    new = bits.weights(second)
    assert set(np.unique(new["b.weight"])) == {-1.0, 1.0}
    given = x.astype(np.float32)
    for backend in ("numpy", "torch", "jax"):
        trained = architrave.compile(graph, backend=backend)(second, given)
        exported = architrave.compile(bits.graph, backend=backend)(new, given)
        np.testing.assert_array_equal(exported, trained, err_msg=backend)


def _trained(graph: Any, x: Any, target: Any, weights: Any = None) -> Any:
    recipe = Recipe(AdamW(), Objective("cross_entropy"))
    labels = TensorType(DType.I64, (graph.inputs[0].shape[0],))
    trainer = Trainer(graph, recipe, Schedule(0.02, 40), labels, weights=weights)
    losses = [trainer.train(x.astype(np.float32), target) for _ in range(40)]
    assert losses[-1] < losses[0]
    return trainer.weights()
