"""Supernets of which one path is taken at a time: each decision is a switch, and one program trains every member.

Every alternative is computed and one is taken, so that the gradients of the others are 0. What these read does not
change in that step: neither weights, nor what an optimizer remembers of them, nor running statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from architrave.ir import build
from architrave.ir.arrays import Array, np
from architrave.ir.choice import choices, decide
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.control import Choice
from architrave.ir.source import error, nearest
from architrave.passes.search.needs import Needing
from architrave.passes.search.opening import Mix, opened, with_read_weights

SWITCH = "switch"
"""The name of a switch, below the path of its decision."""


def switch_path(decision: str) -> str:
    """Where the switch of a decision is."""
    return f"{decision}.{SWITCH}"


@dataclass(frozen=True)
class Switched:
    """A supernet: `source` keeps its choices, and `graph` has a switch for each, a state that says which label."""

    source: Graph
    graph: Graph

    @cached_property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """The labels of every decision, by path."""
        return choices(self.source)

    def setting(self, member: Mapping[str, str]) -> dict[str, Array]:
        """The switches of a member, by path. Decisions that it lacks are at their first label. Raises E952."""
        whole = completed(self.source.name, self.labels, member)
        return {
            switch_path(path): np.asarray(self.labels[path].index(label), np.int64) for path, label in whole.items()
        }

    def learning(self, weights: Mapping[str, Value]) -> dict[str, Value]:
        """Whether each weight that some members lack is in the one that is taken: see `Recipe.learning`."""
        return Needing(self.graph, SWITCH).learning(weights)

    def member(self, member: Mapping[str, str]) -> Graph:
        """A member by itself: a plain graph with the weights that it reads. Raises E952."""
        return member_graph(self.source, member)


def completed(name: str, labels: Mapping[str, Sequence[str]], member: Mapping[str, str]) -> dict[str, str]:
    """A label for every decision: the first one for those that the member lacks. Raises E952 for what there is not."""
    for path, label in member.items():
        if label not in labels.get(path, ()):
            hint = nearest(label, labels[path]) if path in labels else nearest(path, labels)
            raise error("E952", f"`{name}` has no decision `{path}` with the label `{label}`", hint=hint)
    return {path: member.get(path, known[0]) for path, known in labels.items()}


def member_graph(source: Graph, member: Mapping[str, str]) -> Graph:
    """A member of a graph that keeps its choices, with the weights that it reads. Raises E952."""
    decided = decide(source, completed(source.name, choices(source), member))
    # What an alternative and the choice beside it both computed is one.
    return with_read_weights(opened(decided, Mix()))


def switched(source: Graph) -> Switched:
    """The supernet of a graph that keeps its choices. Raises E957, see `opened`."""
    graph = opened(source, _Switching())
    return Switched(source, Needing(graph, SWITCH).resting())


@dataclass
class _Switching(Mix):
    switches: dict[str, Value] = field(default_factory=dict[str, Value])

    def mix(self, choice: Choice, alternatives: Sequence[tuple[Value, ...]]) -> tuple[Value, ...]:
        if choice.path not in self.switches:
            self.switches[choice.path] = build.state(switch_path(choice.path), "i64[]")
        switch = self.switches[choice.path]
        found = alternatives[0]
        for i, results in enumerate(alternatives[1:], 1):
            found = tuple(
                build.where(build.equal(switch, i), new, old) for new, old in zip(results, found, strict=True)
            )
        return found
