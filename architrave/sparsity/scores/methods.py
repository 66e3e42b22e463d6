"""Methods that make weights sparse, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.source import error, nearest
from architrave.sparsity.scores.plan import Method, Task, by_scores
from architrave.sparsity.scores.saliency import SynFlow, grasp, snip
from architrave.sparsity.scores.sparsegpt import SparseGPT
from architrave.sparsity.scores.wanda import wanda


def magnitude(task: Task) -> dict[str, Array]:
    """Absolute values. Han and others, "Learning both Weights and Connections for Efficient Neural Networks" (2015)."""
    return {layer.path: np.abs(np.asarray(task.weights[layer.path], np.float64)) for layer in task.layers}


def random(task: Task) -> dict[str, Array]:
    """Numbers drawn from the seed. Liu and others, "The Unreasonable Effectiveness of Random Pruning" (2022)."""
    rng: Any = np.random.default_rng(task.plan.seed)
    return {layer.path: rng.random(layer.shape) for layer in task.layers}


METHODS: dict[str, Method] = {
    "magnitude": by_scores(magnitude),
    "random": by_scores(random),
    "snip": by_scores(snip),
    "grasp": by_scores(grasp),
    "synflow": SynFlow(),
    "wanda": wanda,
    "sparsegpt": SparseGPT(),
}
"""What a method makes of the weights of a network with masks."""


def check_method(name: str, kinds: Mapping[str, object] = METHODS) -> None:
    """Raises E925 where there is no method of that name."""
    if name not in kinds:
        hint = nearest(name, kinds) or f"there are {', '.join(kinds)}"
        raise error("E925", f"there is no method `{name}` to make weights sparse", hint=hint)
