"""What the tests of training train: small networks, their data, and trainers of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import architrave
from architrave.ir.graph import Graph
from architrave.train import Dataset, Objective, Optimizer, Recipe, Schedule, Trainer

BACKENDS = ("numpy", "torch", "jax")

CONVNET = """
from std.conv import conv2d, max_pool
from std.linear import linear
from std.norm import batch_norm
from std.regularize import dropout

model Convnet()(x: [N, 1, 8, 8]) -> [N, 10] {
    x = x -> c: conv2d(8) -> n: batch_norm -> relu -> max_pool(2)
    x = reshape(x, [N, 8 * 16])
    return x -> a: linear(32) -> relu -> d: dropout(0.2) -> b: linear(10)
}
"""

NORMED = """
from std.linear import linear
from std.norm import batch_norm
from std.regularize import dropout

model Normed()(x: [N, 8]) -> [N, 4] {
    return x -> a: linear(6) -> n: batch_norm -> relu -> d: dropout(0.25) -> b: linear(4)
}
"""

MLP = """
from std.linear import linear
from std.regularize import dropout

model Mlp()(x: [N, 8]) -> [N, 4] {
    return x -> a: linear(16) -> tanh -> d: dropout(0.25) -> b: linear(4)
}
"""

INNER = """
model Inner()(matrix_slope: [3, 4], vector_slope: [4]) {
    param matrix: [3, 4] = normal(std = 1.0)
    param vector: [4] = normal(std = 1.0)
    return sum(matrix * matrix_slope) + sum(vector * vector_slope)
}
"""
"""A network whose gradients are its inputs."""


@cache
def network(source: str) -> Graph:
    return architrave.loads(source)


def convnet_data(count: int = 96) -> Dataset:
    """Images with classes that can be learnt: which tenth a weighted sum of the pixels lies in."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, 1, 8, 8))
    return Dataset((images,), _tenths(images.reshape(count, -1) @ rng.normal(size=64), 10))


def mlp_data(count: int = 96) -> Dataset:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(count, 8))
    return Dataset((rows,), _tenths(rows @ rng.normal(size=8), 4))


def trainer(source: str, data: Dataset, optimizer: Optimizer, backend: str, **options: Any) -> Trainer:
    """A trainer in float64; options of the recipe go there, the others to the trainer."""
    graph = network(source)
    settings = {name: options.pop(name) for name in list(options) if name in Recipe.__dataclass_fields__}
    recipe = Recipe(optimizer, Objective("cross_entropy"), **settings)
    schedule = options.pop("schedule", Schedule(1e-2, 100))
    options = {"dtype": "float64", "backend": backend, **options}
    return Trainer(graph, recipe, schedule, data.target_type(graph), **options)


def _tenths(scores: np.ndarray[Any, Any], classes: int) -> np.ndarray[Any, Any]:
    return np.argsort(np.argsort(scores)) * classes // len(scores)
