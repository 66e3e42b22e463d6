"""Masks that move while a network learns: some numbers go, as many grow elsewhere, and each weight keeps its count.

masked = apply(network, "mask")
weights = with_masks(masked.graph, masked.weights(init(network)), erdos_renyi_masks(layers(masked.graph), 20))
trainer = Trainer(masked.graph, recipe, schedule, target, weights=weights)
run(trainer, data, Loop(epochs, batch, refresh=[SET(every=data.steps(batch))]))
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.source import error
from architrave.sparsity.learning.training import assign
from architrave.sparsity.masks.masked import Layer, Masks, masks, with_masks
from architrave.sparsity.masks.selection import largest
from architrave.sparsity.scores.slopes import Slopes
from architrave.train import Trainer


@dataclass
class Rewiring(ABC):
    """What `Loop.refresh` calls: after every `every` steps, but not from step `until` on, each mask changes places.

    `fraction` is the share of the numbers of a weight that go, as far as there are as many empty places. What has
    grown starts from 0, as does what the optimizer remembers of it, so that the function of the network changes by
    what goes alone.
    """

    every: int
    fraction: float = 0.3
    until: float = math.inf

    def __post_init__(self) -> None:
        """Raises E925 for a share that is not from 0 to 1, or steps that are not positive."""
        if not 0 <= self.fraction <= 1 or self.every < 1:
            what = f"a share of {self.fraction:g} of a mask that changes after every {self.every} steps"
            raise error("E925", f"there is no such thing as {what}", hint="the share is from 0 to 1, the steps above 0")

    def __call__(self, trainer: Trainer, batch: Sequence[Any]) -> None:
        """Raises E924 for a network without masks."""
        if trainer.steps % self.every or trainer.steps >= self.until:
            return
        network, weights = trainer.network, trainer.weights()
        old = masks(network, weights)
        new = self.rewired(trainer, batch, old)
        moved = with_masks(network, with_masks(network, weights, old), new)
        assign(trainer, {**moved, **self.restarted(trainer, old, new)})

    @abstractmethod
    def rewired(self, trainer: Trainer, batch: Sequence[Any], old: Masks) -> dict[str, Array]:
        """The new masks."""

    def restarted(self, trainer: Trainer, old: Masks, new: Masks) -> dict[str, Array]:
        """Other weights that change with the masks."""
        return {}


@dataclass
class SET(Rewiring):
    """The smallest positive and the largest negative numbers go, and as many grow at random places.

    Mocanu and others, "Scalable Training of Artificial Neural Networks with Adaptive Sparse Connectivity inspired by
    Network Science" (2018), once an epoch. Places follow from the seed of the run and the step.
    """

    def rewired(self, trainer: Trainer, batch: Sequence[Any], old: Masks) -> dict[str, Array]:
        rng: Any = np.random.default_rng((trainer.seed, trainer.steps))
        weights = trainer.weights()
        found: dict[str, Array] = {}
        for path, mask in old.items():
            gone = _nearest_zero(weights[path], mask, self.fraction)
            found[path] = swapped(mask, gone, rng.random(mask.shape))
        return found


@dataclass
class RigL(Rewiring):
    """The smallest numbers go, and those grow whose gradients on the batch of the step are largest.

    The share falls to 0 at `until` as half a cosine does. Evci, Gale, Menick, Castro and Elsen, "Rigging the Lottery:
    Making All Tickets Winners" (2020).
    """

    _slopes: Slopes | None = field(default=None, init=False, repr=False)

    def slopes(self, trainer: Trainer, batch: Sequence[Any]) -> dict[str, Array]:
        """The gradients on a batch by whole weights."""
        network = trainer.network
        if self._slopes is None or self._slopes.network is not network:
            self._slopes = Slopes(network, trainer.recipe.objective, trainer.target, trainer.backend)
        return self._slopes.mean(trainer.weights(), [batch], (trainer.seed, trainer.steps))

    def share(self, step: int) -> float:
        """The share that goes after so many steps."""
        return self.fraction * (1 + math.cos(math.pi * step / self.until)) / 2

    def rewired(self, trainer: Trainer, batch: Sequence[Any], old: Masks) -> dict[str, Array]:
        weights, slopes, share = trainer.weights(), self.slopes(trainer, batch), self.share(trainer.steps)
        found: dict[str, Array] = {}
        for path, mask in old.items():
            gone = smallest(np.abs(weights[path]), mask, movable(mask, share))
            found[path] = swapped(mask, gone, np.abs(slopes[path]))
        return found


REWIRING: Mapping[str, type[Rewiring]] = {"set": SET, "rigl": RigL}


def erdos_renyi_masks(weights: Sequence[Layer], epsilon: float, seed: int = 0) -> dict[str, Array]:
    """Random masks that keep `epsilon * (outputs + inputs)` numbers of each weight, or all of a smaller one.

    Each place of a kernel counts as an input of its own.
    """
    rng: Any = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for layer in weights:
        count = round(epsilon * (layer.shape[0] + layer.size // layer.shape[0]))
        found[layer.path] = largest(rng.random(layer.shape), min(count, layer.size))
    return found


def degrees(mask: Array) -> tuple[Array, Array]:
    """How many inputs each output is joined to, and how many outputs each input, of a mask [outputs, inputs, ...]."""
    return mask.sum(axis=tuple(range(1, mask.ndim))), mask.sum(axis=0)


def smallest(scores: Array, mask: Array, count: int) -> Array:
    """Where the `count` lowest scores of what a mask leaves stand; of equal ones the first."""
    return largest(np.where(mask, -scores, -np.inf), count) & mask


def movable(mask: Array, share: float) -> int:
    """How many numbers a share of those that a mask leaves is, and no more than it hides."""
    count = int(np.count_nonzero(mask))
    return min(round(share * count), mask.size - count)


def swapped(mask: Array, gone: Array, scores: Array) -> Array:
    """The mask without what is gone, and with as many of the highest scores where it was false."""
    grown = largest(np.where(mask, -np.inf, scores), int(np.count_nonzero(gone)))
    return (mask & ~gone) | grown


def _nearest_zero(weight: Array, mask: Array, share: float) -> Array:
    """Where the share of the positive and of the negative numbers that is nearest to 0 stands; 0 counts as positive."""
    sides = (mask & (weight >= 0), mask & (weight < 0))
    gone = np.logical_or(*(smallest(np.abs(weight), side, round(share * np.count_nonzero(side))) for side in sides))
    return smallest(np.abs(weight), gone, min(int(np.count_nonzero(gone)), int(np.count_nonzero(~mask))))
