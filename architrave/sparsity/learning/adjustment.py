"""Masks that change between two rounds of training on many devices, some weights at a time: FedTiny's second part.

Huang, Zhang, Wu and Chen, "Distributed Pruning Towards Tiny Neural Networks in Federated Learning" (2023).

    numbers = moved(graph, weights, blocks(graph, 5)[number % 5], share)
    buffers = [top_gradients(graph, weights, data, numbers) for data in devices]
    weights = adjusted(graph, weights, numbers, buffers, [len(data) for data in devices])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, printable
from architrave.sparsity.learning.dynamic import movable, smallest
from architrave.sparsity.learning.federated import Weights, shares_of
from architrave.sparsity.masks.masked import layers, masks, with_masks
from architrave.sparsity.masks.selection import largest
from architrave.sparsity.scores.slopes import Slopes
from architrave.train import Dataset, Objective


def blocks(graph: Graph, count: int) -> list[list[str]]:
    """The weights with masks in `count` blocks of neighbours, the last of the network first, by path."""
    paths = [layer.path for layer in layers(graph)]
    parts = np.array_split(np.arange(len(paths)), min(count, len(paths)))
    return [[paths[i] for i in part] for part in reversed(parts)]


def moved(graph: Graph, weights: Mapping[str, Any], block: Sequence[str], share: float) -> dict[str, int]:
    """How many numbers of each weight of a block an adjustment moves: a share of those there are, if as many are not.

    FedTiny takes `0.15 * (1 + cos(pi * round / rounds))`.
    """
    found = masks(graph, weights)
    return {path: movable(found[path], share) for path in block}


Buffer = Mapping[str, tuple[Array, Array]]
"""For each weight the flat places of the largest gradients of masked numbers, and these gradients: no more than few."""


def top_gradients(
    graph: Graph,
    weights: Mapping[str, Any],
    data: Dataset,
    numbers: Mapping[str, int],
    objective: Objective | None = None,
    *,
    batch: int = 32,
    backend: str = "torch",
) -> dict[str, tuple[Array, Array]]:
    """What a device sends: for each weight as many of the largest gradients where its mask is false.

    Raises E911 for gradients that are NaN or infinite.
    """
    slopes = Slopes(graph, objective or Objective.usual(data), data.target_type(graph), backend)
    found, held = slopes.mean(weights, list(data.parts(batch))), masks(graph, weights)
    sent: dict[str, tuple[Array, Array]] = {}
    for path, number in numbers.items():
        sizes = np.where(held[path], -np.inf, np.abs(found[path]))
        places = np.flatnonzero(largest(sizes, number))
        sent[path] = places, found[path].ravel()[places]
    return sent


def adjusted(
    graph: Graph,
    weights: Mapping[str, Any],
    numbers: Mapping[str, int],
    buffers: Sequence[Buffer],
    examples: Sequence[float],
) -> Weights:
    """The weights after as many of each have gone, the smallest, and as many grown, from 0.

    Those grow whose gradients, averaged over the devices by their examples, are largest; what a device has not sent
    counts as 0. Where fewer places were sent, fewer move. Raises E924 for places that a weight does not have, E925 for
    numbers of examples that do not fit.
    """
    held = masks(graph, weights)
    shares = shares_of(examples, len(buffers))
    new: dict[str, Array] = {}
    for path, number in numbers.items():
        mask = held[path]
        slopes: Array = np.zeros(mask.size)
        for buffer, share in zip(buffers, shares, strict=True):
            places, values = buffer[path]
            if places.size and not 0 <= places.min() <= places.max() < mask.size:
                raise error("E924", f"a device has sent gradients by places that `{printable(path)}` does not have")
            slopes[places] += share * values
        sizes: Array = np.where(mask, 0, np.abs(slopes).reshape(mask.shape))
        count = min(number, int(np.count_nonzero(sizes)))
        gone = smallest(np.abs(weights[path]), mask, count)
        new[path] = (mask & ~gone) | largest(sizes, count)
    return with_masks(graph, with_masks(graph, weights, held), new)
