"""The straight way between two trained networks: how high the loss rises on it, for all weights or for those of layers.

Adilova, Andriushchenko, Kamp, Fischer and Jaggi, "Layer-wise Linear Mode Connectivity" (2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error
from architrave.ir.storage import is_float
from architrave.record import reestimate, silent
from architrave.train.data import Dataset
from architrave.train.evaluation import Evaluation
from architrave.train.objective import Objective

SHARES = tuple(i / 10 for i in range(11))
Weights = Mapping[str, Any]


@dataclass(frozen=True)
class Way:
    """The losses on a way from one network to where some of its weights are those of another."""

    name: str
    paths: tuple[str, ...]
    """The weights that are moved."""
    shares: tuple[float, ...]
    """From 0 to 1: how much is of the other network."""
    losses: tuple[float, ...]

    @property
    def barrier(self) -> float:
        """The most by which a loss is above the straight line between those at both ends; 0 at least."""
        return max(self.above)

    @property
    def above(self) -> tuple[float, ...]:
        """By how much each loss is above that line."""
        first, last = self.losses[0], self.losses[-1]
        pairs = zip(self.shares, self.losses, strict=True)
        return tuple(loss - ((1 - share) * first + share * last) for share, loss in pairs)

    @property
    def inner(self) -> float:
        """The most by which a loss between the ends is above that line; below 0 where the loss is convex on the way."""
        return max(self.above[1:-1])


@dataclass(frozen=True)
class Ways:
    """The way of all weights, those of each layer alone, and those of the first and the last layers together."""

    network: Graph
    whole: Way
    layers: tuple[Way, ...]
    first: tuple[Way, ...]
    """Of the first layer, of the first two, and so on."""
    last: tuple[Way, ...]


def mixed(a: Weights, b: Weights, share: float, paths: Iterable[str]) -> dict[str, Array]:
    """The weights `a`, of which those at `paths` are `(1 - share) * a + share * b`, in the dtype of `a`.

    At 0 these are the arrays of `a`, at 1 those of `b`, to the bit. Raises E933 where shapes differ, or one is missing.
    """
    found = {path: np.asarray(w) for path, w in a.items()}
    for path in paths:
        one, other = found.get(path), np.asarray(b[path]) if path in b else None
        if one is None or other is None or one.shape != other.shape:
            raise error("E933", f"`{path}` is not in both networks in one shape", hint="both have one architecture")
        if is_float(one.dtype) and share:
            exact = other if share == 1 else (1 - share) * one.astype(np.float64) + share * other.astype(np.float64)
            found[path] = exact.astype(one.dtype)
    return found


def layers(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The weights and states of each layer, by its place, in the order of the network."""
    found: dict[str, list[str]] = {}
    for weight in graph.weights:
        found.setdefault(path_of(weight).rpartition(".")[0] or path_of(weight), []).append(path_of(weight))
    return {place: tuple(paths) for place, paths in found.items()}


@dataclass(frozen=True, eq=False)
class Landscape:
    """Two networks of one architecture, and the examples that say how good what lies between them is.

    With `batches`, running statistics of batch norms are taken anew from them at each place of a way: Jordan, Sedghi,
    Saukh, Entezari and Neyshabur, "REPAIR" (2023), say why those of neither network suit.
    """

    network: Graph
    a: Weights
    b: Weights
    data: Dataset
    objective: Objective
    batches: Sequence[Sequence[Any]] = ()
    shares: tuple[float, ...] = SHARES
    backend: str = "torch"

    @cached_property
    def _evaluation(self) -> Evaluation:
        return Evaluation(self.network, self.objective, self.data.target_type(self.network), self.backend)

    @cached_property
    def _start(self) -> float:
        """The loss of the first network, where every way begins."""
        return self.loss(self.a)

    def loss(self, weights: Weights) -> float:
        """The mean loss of all examples."""
        if self.batches:
            weights = reestimate(self.network, weights, self.batches, backend=self.backend)
        return self._evaluation.run(weights, self.data)["loss"]

    def way(self, name: str, paths: Sequence[str]) -> Way:
        """The way on which the weights at `paths` are moved. Raises E933."""
        if len(self.shares) < 3 or (self.shares[0], self.shares[-1]) != (0, 1) or sorted(self.shares) != [*self.shares]:
            raise error("E933", "shares go from 0 to 1, with one at least between them")
        losses = (self.loss(mixed(self.a, self.b, share, paths)) for share in self.shares[1:])
        return Way(name, tuple(paths), self.shares, (self._start, *losses))

    def whole(self) -> Way:
        """The way of all weights."""
        return self.way("all weights", [path_of(w) for w in self.network.weights])

    def ways(self, progress: Callable[[int], object] = silent) -> Ways:
        """All ways that are of interest. `progress` hears of each."""
        found = layers(self.network)
        names = [*found]

        def walked(name: str, places: Sequence[str]) -> Way:
            way = self.way(name, [path for place in places for path in found[place]])
            progress(1)
            return way

        alone = tuple(walked(name, [name]) for name in names)
        first = tuple(walked(f"up to {name}", names[: i + 1]) for i, name in enumerate(names))
        last = tuple(walked(f"from {name}", names[i:]) for i, name in enumerate(names))
        return Ways(self.network, first[-1], alone, first, last)
