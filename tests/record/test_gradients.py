"""Gradients and products with the Hessian, averaged over batches."""

from __future__ import annotations

import numpy as np
import pytest

import architrave
from architrave.ir.source import ArchitraveError
from architrave.record.gradients import Gradients

# The loss is (a . x) ** 2 / 2 + b * (a . x) for one example: of its gradients and Hessian all is known.
SOURCE = """
model Loss()(x: [N, 3]) -> [] {
    param a: [3] = ones
    param b: [] = ones
    y = x @ a
    return mean(y * y / 2 + b * y)
}
"""
GRAPH = architrave.loads(SOURCE)
rng = np.random.default_rng(0)
X = rng.normal(size=(7, 3))
WEIGHTS = {"a": rng.normal(size=3), "b": np.array(0.5)}
BATCHES = [(X[:4],), (X[4:],)]


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_means_do_not_depend_on_the_batches(backend: str) -> None:
    gradients = Gradients(GRAPH, ["a", "b"], backend)
    found = gradients.mean(WEIGHTS, BATCHES)
    y = X @ WEIGHTS["a"]
    np.testing.assert_allclose(found["a"], ((y + 0.5)[:, None] * X).mean(0), rtol=1e-10)
    np.testing.assert_allclose(found["b"], y.mean(), rtol=1e-10)
    v = {"a": np.array([1.0, -2.0, 3.0]), "b": np.array(2.0)}
    bent = gradients.products(WEIGHTS, BATCHES, v)
    np.testing.assert_allclose(bent["a"], X.T @ X @ v["a"] / 7 + 2 * X.mean(0), rtol=1e-10)
    np.testing.assert_allclose(bent["b"], (X @ v["a"]).mean(), rtol=1e-10)


def test_what_is_refused() -> None:
    gradients = Gradients(GRAPH, ["a"], "numpy")
    with pytest.raises(ArchitraveError, match="E912"):
        gradients.mean(WEIGHTS, [])
    with pytest.raises(ArchitraveError, match=r"E911.*`a` is NaN or infinite in 3 of 3"):
        gradients.mean({**WEIGHTS, "b": np.array(np.nan)}, BATCHES)
