"""Random weights of which most are 0 with certainty: learning both which and how the others are distributed.

Li, Miao, Qiu and Zhang, "Training Bayesian Neural Networks with Sparse Subspace Variational Inference" (2024). Networks
have layers of `std.bayesian`, and give what they think of an example, and the divergence from the prior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.initializers import initial_value
from architrave.ir.ops.leaves import Param, path_of
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.sparsity.learning.dynamic import RigL, movable, smallest, swapped
from architrave.sparsity.masks.masked import Masks, masks
from architrave.train import Objective, Trainer

WEIGHT, DEVIATION = "weight", "log_std"
"""What the mean of a weight is called in its layer, and the logarithm of its deviation."""


def elbo(network: Graph, objective: Objective, target: TensorType | None, examples: int) -> Graph:
    """The network whose one output is the loss of its first and the divergence, its last, over so many examples.

    With the mean cross-entropy as the loss it is minus the evidence lower bound for one example. A `Trainer` minimizes
    it as it is, with `Objective()`. Raises E543 for a network without a second output that is one number.
    """
    *outputs, divergence = network.outputs
    if len(outputs) != 1 or divergence.rank or not divergence.dtype.is_float:
        given = ", ".join(str(v.type) for v in network.outputs)
        hint = "layers of `std.bayesian` give the divergence: add them up and return the sum, too"
        raise error("E543", f"an output and a divergence are needed, but `{network.name}` gives {given}", hint=hint)
    attached = objective.attached(replace(network, outputs=tuple(outputs)), target)
    return replace(attached, outputs=(attached.outputs[0] + divergence / examples,))


@dataclass
class SSVI(RigL):
    """What `Loop.refresh` calls: over all weights, those with the least signal for their noise go, and others grow.

    So many are there after each step as before, K of them. Those grow by whose means the loss has the largest
    gradients on the batch of the step; their means start from 0, and their deviations as at first.
    """

    def rewired(self, trainer: Trainer, batch: Sequence[Any], old: Masks) -> dict[str, Array]:
        """Raises E924 where no weight is random."""
        weights, slopes = trainer.weights(), self.slopes(trainer, batch)
        random = [path for path in old if deviation(path) in weights]
        if not random:
            raise error(
                "E924", f"no weight of `{trainer.network.name}` is random", hint="take layers of `std.bayesian`"
            )
        ratios = {path: signal_to_noise(weights[path], np.exp(weights[deviation(path)])) for path in random}
        mask, ratio, slope = (np.concatenate([d[path].ravel() for path in random]) for d in (old, ratios, slopes))
        gone = smallest(ratio, mask, movable(mask, self.share(trainer.steps)))
        new = swapped(mask, gone, np.abs(slope))
        parts = np.split(new, np.cumsum([old[path].size for path in random])[:-1])
        return {path: part.reshape(old[path].shape) for path, part in zip(random, parts, strict=True)}

    def restarted(self, trainer: Trainer, old: Masks, new: Masks) -> dict[str, Array]:
        """The deviations of what has grown are those at first."""
        weights, params = trainer.weights(), {path_of(w): w.op for w in trainer.network.weights}
        found: dict[str, Array] = {}
        for path in map(deviation, new):
            op, held = params[path], weights[path]
            assert isinstance(op, Param)
            grown = new[mean(path)] & ~old[mean(path)]
            found[path] = np.where(grown, initial_value(op, trainer.seed, held.dtype), held)
        return found


def signal_to_noise(mean: Array, std: Array) -> Array:
    """The mean of `|w|` over its deviation, for normal `w`: 1.32 at least, where the mean of `w` is 0."""
    m, s = np.asarray(mean, np.float64), np.maximum(np.asarray(std, np.float64), 1e-30)
    erf = np.vectorize(math.erf, otypes=[np.float64])
    size = s * math.sqrt(2 / math.pi) * np.exp(-np.square(m / s) / 2) + m * erf(m / s / math.sqrt(2))
    ratio: Array = size / np.sqrt(np.maximum(m * m + s * s - size * size, 1e-60))
    return ratio


def posterior(network: Graph, weights: Mapping[str, Any]) -> dict[str, tuple[Array, Array]]:
    """The means and deviations of the random weights that masks leave, by path: all that is to be held of them."""
    found = {path: mask for path, mask in masks(network, weights).items() if deviation(path) in weights}
    return {path: (weights[path][mask], np.exp(weights[deviation(path)][mask])) for path, mask in found.items()}


def deviation(path: str) -> str:
    """The path of the deviation that belongs to a mean."""
    return path.removesuffix(WEIGHT) + DEVIATION


def mean(path: str) -> str:
    """The path of the mean that belongs to a deviation."""
    return path.removesuffix(DEVIATION) + WEIGHT
