"""What members of a supernet come to with the weights that they inherit, without learning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from architrave.search.space.members import Member
from architrave.search.supernet.child import Child
from architrave.train import Dataset, Evaluation, Objective

BATCH = 128
"""The examples of a batch that statistics are taken from."""
BATCHES = 4
"""How many of them there are."""


class Cut(Protocol):
    """What members are cut out of."""

    def child(
        self,
        member: Member,
        weights: Mapping[str, Any],
        batches: Iterable[Sequence[Any]] | None = None,
        *,
        backend: str = "numpy",
    ) -> Child:
        """A member with its weights; `batches` of inputs give it batch statistics of its own."""
        ...


@dataclass(frozen=True)
class Judge:
    """Cuts members out of a supernet with its weights, and judges them.

    Their batch statistics are taken from some `examples`, drawn once and for all: those that were learned from.
    """

    supernet: Cut
    weights: Mapping[str, Any]
    examples: Dataset
    backend: str = "numpy"

    def child(self, member: Member) -> Child:
        """A member by itself. Raises E952 for what is none."""
        return self.supernet.child(member, self.weights, self._batches(), backend=self.backend)

    def judged(self, child: Child, data: Dataset, objective: Objective) -> dict[str, float]:
        """The loss of a child on examples and, of classes, its accuracy."""
        evaluation = Evaluation(child.graph, objective, data.target_type(child.graph), self.backend)
        return evaluation.run(child.weights, data)

    def _batches(self) -> Iterator[Sequence[Any]]:
        size = min(BATCH, len(self.examples))
        inputs = len(self.examples.inputs)
        return (arrays[:inputs] for arrays in islice(self.examples.epoch(size, 0, 0), BATCHES))
