"""Sparse networks that learn where the examples are: what server and devices compute, but not how that is sent.

Huang, Zhang, Wu and Chen, "Distributed Pruning Towards Tiny Neural Networks in Federated Learning" (2023), FedTiny:

    candidates = magnitude_candidates(graph, weights, density=0.01, count=10)
    best = best_candidate(graph, candidates, devices)
    # Then each device trains by itself, with an ordinary `Trainer`, again and again.
    weights = average(graph, trained, [len(data) for data in devices])

`architrave.sparsity.learning.adjustment` has what moves the masks between two rounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error, printable
from architrave.record.running import reestimate
from architrave.sparsity.masks.density import rounded, solved, total
from architrave.sparsity.masks.masked import Layer, layers, masks, with_masks
from architrave.sparsity.masks.selection import check_scores, largest
from architrave.train import Dataset, Evaluation, Objective

Weights = dict[str, Array]


def magnitude_candidates(
    graph: Graph, weights: Mapping[str, Any], density: float, count: int = 10, spread: float = 0.5, seed: int = 0
) -> list[Weights]:
    """The weights under `count` choices of masks, each with exactly `round(density * N)` of the largest numbers.

    They differ in how many each weight keeps: the same share in the first, shares times `exp` of normal numbers with
    the deviation `spread` in the others. Raises E925 for a density, E927 for weights that are NaN.
    """
    rng: Any = np.random.default_rng(seed)
    found = layers(graph)
    wanted = total(sum(layer.size for layer in found), density)
    scores = {layer.path: np.abs(np.asarray(weights[layer.path], np.float64)) for layer in found}
    check_scores(found, scores)
    candidates: list[Weights] = []
    for i in range(count):
        noise = np.zeros(len(found)) if i == 0 else rng.normal(0.0, spread, len(found))
        numbers = _numbers(found, wanted, dict(zip(scores, np.exp(noise).tolist(), strict=True)))
        new = {path: largest(score, numbers[path]) for path, score in scores.items()}
        candidates.append(with_masks(graph, weights, new))
    return candidates


@dataclass(frozen=True)
class Choice:
    """The best of several candidates: which, its weights with running averages of all devices, and all losses."""

    index: int
    weights: Weights
    losses: tuple[float, ...]


def best_candidate(
    graph: Graph,
    candidates: Sequence[Mapping[str, Any]],
    devices: Sequence[Dataset],
    objective: Objective | None = None,
    *,
    batch: int = 32,
    backend: str = "torch",
) -> Choice:
    """The candidate with the least loss over all devices, once each has taken running averages on its examples.

    No weight is trained: devices send running averages, the server averages them, and devices send losses. The loss
    is the usual one for the targets unless `objective` says otherwise. Raises E925 for no candidates or devices.
    """
    if not candidates or not devices:
        raise error("E925", "a choice takes a candidate and a device, or more of both")
    sizes = [len(data) for data in devices]
    chosen = objective or Objective.usual(devices[0])
    evaluation = Evaluation(graph, chosen, devices[0].target_type(graph), backend)
    adapted: list[Weights] = []
    losses: list[float] = []
    for candidate in candidates:
        local = [reestimate(graph, candidate, _inputs(data, batch), backend=backend) for data in devices]
        adapted.append(average(graph, local, sizes))
        found = [evaluation.run(adapted[-1], data)["loss"] for data in devices]
        losses.append(float(np.average(found, weights=sizes)))
    if not np.isfinite(losses).any():
        raise error("E927", "the loss of every candidate is NaN or infinite")
    best = int(np.nanargmin(losses))
    return Choice(best, adapted[best], tuple(losses))


def average(graph: Graph, trained: Sequence[Mapping[str, Any]], examples: Sequence[float]) -> Weights:
    """The weights of all devices, averaged by how many examples each has; all have the masks of the first.

    McMahan and others, "Communication-Efficient Learning of Deep Networks from Decentralized Data" (2017). What is no
    float is that of the first. Raises E924 for masks that differ, E925 for numbers of examples that do not fit.
    """
    shares = shares_of(examples, len(trained))
    first, *others = trained
    for path, mask in masks(graph, first).items():
        if any(not np.array_equal(mask, masks(graph, other)[path]) for other in others):
            raise error(
                "E924", f"devices have different masks of `{printable(path)}`", hint="send masks before training"
            )
    return {path: _averaged([each[path] for each in trained], shares) for path in first}


def _numbers(found: Sequence[Layer], wanted: int, factors: Mapping[str, float]) -> dict[str, int]:
    """How many numbers each weight keeps, in proportion to its size and a factor."""
    sizes = {layer.path: layer.size for layer in found}
    shares = solved(found, sizes, wanted, lambda layer: factors[layer.path])
    return rounded({path: shares[path] * size for path, size in sizes.items()}, wanted)


def shares_of(examples: Sequence[float], devices: int) -> Array:
    """The share of each device in all examples. Raises E925 for numbers that are none of so many devices."""
    counts = np.asarray(examples, np.float64)
    if len(counts) != devices or not devices or not (counts >= 0).all() or not 0 < counts.sum() < math.inf:
        raise error("E925", f"{devices} devices cannot have {list(examples)} examples", hint="one number for each")
    shares: Array = counts / counts.sum()
    return shares


def _inputs(data: Dataset, batch: int) -> list[tuple[Array, ...]]:
    return [arrays[: len(data.inputs)] for arrays in data.parts(batch)]


def _averaged(arrays: Sequence[Any], shares: Array) -> Array:
    first = np.asarray(arrays[0])
    if first.dtype.kind != "f":
        return first
    total = np.zeros(first.shape)
    for array, share in zip(arrays, shares, strict=True):
        total = total + share * np.asarray(array, np.float64)
    return total.astype(first.dtype)
