"""Examples that are not in memory: any iterable of batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from architrave.ir.arrays import Array
from architrave.ir.graph import Graph
from architrave.ir.source import error
from architrave.ir.types import TensorType
from architrave.train.data.dataset import target_type


@dataclass(frozen=True)
class Stream:
    """Batches from elsewhere: `batches(epoch)` gives those of an epoch, each the network's inputs and the target.

    An array is whatever `np.asarray` takes, a PyTorch tensor, too. `count` is the number of batches of an epoch.

        loader = torch.utils.data.DataLoader(...)
        data = Stream(lambda epoch: loader, len(loader))

    A run resumes at the same batch if `batches` gives the same ones for the same epoch.
    """

    batches: Callable[[int], Iterable[Sequence[Any]]]
    count: int
    name: str = "the data"

    def __len__(self) -> int:
        return self.count

    def steps(self, size: int) -> int:
        """The batches of an epoch, whatever their size."""
        return self.count

    def epoch(self, size: int, seed: int, number: int, start: int = 0) -> Iterator[tuple[Array, ...]]:
        """The batches of an epoch from the `start`-th on. Raises E562 where there are fewer than `count`."""
        found = start
        for batch in itertools.islice(self.batches(number), start, self.count):
            found += 1
            yield tuple(map(np.asarray, batch))
        if found < self.count:
            raise error("E562", f"{self.name} has {found} batches in epoch {number + 1}, not {self.count}")

    def target_type(self, network: Graph) -> TensorType:
        """The type of the targets, as the first batch has them."""
        for batch in self.epoch(0, 0, 0):
            return target_type(batch[-1], network, self.name)
        raise error("E562", f"{self.name} has no batches")
