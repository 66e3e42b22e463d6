"""Supernets whose decisions take several alternatives at once, and sum them.

Chu, Lu, Li and Zhang, "MixPath: A Unified Approach for One-shot Neural Architecture Search" (2023). The sum of k
alternatives has other statistics than that of one, so that it is normalized by a batch norm of its own for each k: a
shadow batch norm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.choice import choices
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.control import Choice
from architrave.ir.place import here
from architrave.ir.prefix import prefixed
from architrave.ir.source import error, nearest
from architrave.models import find_in_text
from architrave.passes.search.needs import Needing
from architrave.passes.search.opening import Mix, opened, with_read_weights
from architrave.passes.search.switched import SWITCH, switch_path

AND = "+"
"""What stands between the labels that a member takes of one decision."""


@dataclass(frozen=True)
class Subsets:
    """The ways to take from 1 to `most` labels of each decision. A member has them in their order: `three+five`."""

    name: str
    labels: Mapping[str, tuple[str, ...]]
    most: int

    @property
    def size(self) -> int:
        """How many members there are."""
        return math.prod(len(self.of(path)) for path in self.labels)

    def of(self, path: str) -> list[tuple[str, ...]]:
        """What may be taken of a decision."""
        labels = self.labels[path]
        return [each for k in range(1, min(self.most, len(labels)) + 1) for each in combinations(labels, k)]

    def sample(self, rng: Any) -> dict[str, str]:
        """A member: for each decision how many labels, and then which ones, each as likely as the others."""
        found: dict[str, str] = {}
        for path, labels in self.labels.items():
            k = 1 + int(rng.integers(min(self.most, len(labels))))
            taken = {int(i) for i in rng.choice(len(labels), k, replace=False)}
            found[path] = AND.join(label for i, label in enumerate(labels) if i in taken)
        return found

    def taken(self, member: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """The labels that a member takes of each decision; the first one where it lacks it. Raises E952."""
        for path, label in member.items():
            if path not in self.labels:
                raise error("E952", f"`{self.name}` has no decision `{path}`", hint=nearest(path, self.labels))
            if tuple(label.split(AND)) not in self.of(path):
                known = ", ".join(self.labels[path])
                what = f"`{self.name}` does not take `{label}` of `{path}`"
                raise error("E952", what, hint=f"take 1 to {self.most} of {known}, in this order, as `a{AND}b`")
        return {path: tuple(member.get(path, labels[0]).split(AND)) for path, labels in self.labels.items()}


@dataclass(frozen=True)
class MixPath:
    """A supernet: `source` keeps its choices, in `graph` a switch for each label says whether it is in the sum."""

    source: Graph
    graph: Graph
    space: Subsets

    def setting(self, member: Mapping[str, str]) -> dict[str, Array]:
        """The switches of a member, by path. Raises E952."""
        found: dict[str, Array] = {}
        for path, labels in self.space.taken(member).items():
            found[switch_path(path)] = np.asarray(len(labels), np.int64)
            for label in self.space.labels[path]:
                found[switch_path(f"{path}.{label}")] = np.asarray(int(label in labels), np.int64)
        return found

    def learning(self, weights: Mapping[str, Value]) -> dict[str, Value]:
        """Whether each weight that some members lack is in the one that is taken: see `Recipe.learning`."""
        return Needing(self.graph, SWITCH).learning(weights)

    def member(self, member: Mapping[str, str]) -> Graph:
        """A member by itself, with the batch norms of as many alternatives as it takes. Raises E952."""
        return with_read_weights(opened(self.source, _Taking(taken=self.space.taken(member))))


def mixpath(source: Graph, most: int) -> MixPath:
    """The supernet of a graph that keeps its choices, whose members take up to `most` alternatives of each.

    The batch norm for k alternatives is at `shadow.K` below the path of the decision. Where a decision is used several
    times, each use has its own. Raises E957, see `opened`, and E958 for a choice between tensors without channels.
    """
    graph = opened(source, _Summing(most=most))
    return MixPath(source, Needing(graph, SWITCH).resting(), Subsets(source.name, choices(source), most))


@dataclass
class _Shadows(Mix):
    """Batch norms of sums."""

    uses: dict[str, int] = field(default_factory=dict[str, int])

    def use(self, path: str) -> str:
        """What the batch norms are called at one more use of a decision, in the block where it is used."""
        place = here().place
        outer = "" if place is None or not place.path else f"{place.path}."
        within = path.removeprefix(outer)
        self.uses[outer + within] = number = self.uses.get(outer + within, -1) + 1
        return f"{within}.shadow" if number == 0 else f"{within}.shadow_{number}"

    def normed(self, x: Value, path: str) -> Value:
        """The sum after a batch norm, which is called so in the block where the sum is."""
        found = prefixed(_norm(x), path, here().place, [x])
        self.updates += found.updates
        return found.outputs[0]


@dataclass
class _Taking(_Shadows):
    """One member."""

    taken: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    def mix(self, choice: Choice, alternatives: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
        labels, use = self.taken[choice.path], self.use(choice.path)
        found = [results for label, results in zip(choice.labels, alternatives, strict=True) if label in labels]
        return tuple(self.normed(_sum(column), f"{use}.{len(labels)}") for column in zip(*found, strict=True))


@dataclass
class _Summing(_Shadows):
    """All members."""

    most: int = 1
    switches: dict[str, Value] = field(default_factory=dict[str, Value])

    def mix(self, choice: Choice, alternatives: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
        use = self.use(choice.path)
        included = [build.equal(self._switch(f"{choice.path}.{label}"), 1) for label in choice.labels]
        count = self._switch(choice.path)
        found: list[Value] = []
        for column in zip(*alternatives, strict=True):
            total = _sum([build.where(each, value, 0.0) for each, value in zip(included, column, strict=True)])
            result = self.normed(total, f"{use}.1")
            for k in range(2, min(self.most, len(choice.labels)) + 1):
                result = build.where(build.equal(count, k), self.normed(total, f"{use}.{k}"), result)
            found.append(result)
        return tuple(found)

    def _switch(self, path: str) -> Value:
        if path not in self.switches:
            self.switches[path] = build.state(switch_path(path), "i64[]")
        return self.switches[path]


def _sum(values: Sequence[Value]) -> Value:
    first, *others = values
    for other in others:
        first = first + other
    return first


def _norm(x: Value) -> Graph:
    """A batch norm of such tensors."""
    if x.rank < 2 or not x.dtype.is_float:
        raise error("E958", f"a sum of tensors {x.type} has no channels that a batch norm could normalize")
    text = f'from std.norm import batch_norm\nmodel Norm()(x: {x.type}) = x -> "": batch_norm\n'
    graph = find_in_text(text).elaborate({}).graph
    # The network is the block alone, as the library has it.
    return replace(graph, place=graph.outputs[0].node.place)
