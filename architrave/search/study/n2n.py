"""A network found inside a larger one: a policy leaves out layers, and then another makes those that stay narrower.

Ashok, Rhinehart, Beainy and Kitani, "N2N Learning: Network to Network Compression via Policy Gradient Reinforcement
Learning" (2018). Every student has types that fit: only what is added to its own input can be left out, and a dimension
is made narrower in all weights that share it. The policies are the paper's: a bidirectional LSTM over all parts says
which of them stay, and another LSTM, which also reads its last action, what stays of each dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from architrave.ir import cost
from architrave.ir.arrays import Array, known
from architrave.ir.axes.groups import Group, groups
from architrave.ir.axes.restrict import restricted, taken
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error, nearest
from architrave.passes.structure.drop import dropped
from architrave.passes.structure.sublayers import KINDS, Sublayer, branches
from architrave.search.study.policy import Baseline, Episode, Policy, controller, drawn

KEEP, REMOVE = "keep", "remove"
SHARES = ("1.0", "0.8", "0.6", "0.4", "0.2")
"""The shares of a dimension that may stay."""
HIDDEN = 32
"""The units of each LSTM."""

Actions: TypeAlias = Mapping[str, str]
Evaluate: TypeAlias = Callable[["Student"], float]
"""The accuracy that a student comes to, however it is taught: `architrave.distil` has the losses."""


@dataclass(frozen=True)
class Student:
    """A network with weights to begin with, which are those of its teacher that stay."""

    graph: Graph
    weights: Mapping[str, Array]


Act: TypeAlias = Callable[[Student, Actions], Student]


@dataclass(frozen=True)
class Compressed:
    """The student with the highest reward, and the actions of both stages with their rewards, in their order."""

    student: Student
    reward: float
    removals: Sequence[tuple[Actions, float]]
    shrinks: Sequence[tuple[Actions, float]]


def reward(accuracy: float, of_teacher: float, parameters: int, of_teacher_parameters: int) -> float:
    """`C (2 - C) A / A_t`, where `C = 1 - P / P_t`: accuracy counts more the smaller a student is, and then less."""
    compression = 1 - parameters / of_teacher_parameters
    return compression * (2 - compression) * accuracy / of_teacher


def removals(graph: Graph) -> dict[str, tuple[str, ...]]:
    """What may be kept or removed, by name: the residual branches."""
    return dict.fromkeys(_parts(graph), (KEEP, REMOVE))


def removed(student: Student, actions: Actions) -> Student:
    """The student without some parts. Raises E940 for a name or an action that there is not."""
    parts = _parts(student.graph)
    _check(actions, removals(student.graph))
    gone = [parts[name] for name, action in actions.items() if action == REMOVE]
    if not gone:
        return student
    graph = dropped(student.graph, gone)
    return Student(graph, {path_of(w): student.weights[path_of(w)] for w in graph.weights})


def shrinks(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The shares of each dimension that may stay, by its name."""
    return dict.fromkeys(_dimensions(graph), SHARES)


def shrunk(student: Student, actions: Actions) -> Student:
    """The student with so much of each dimension, at least one unit: those that come first.

    Raises E940 for a name or a share that there is not.
    """
    found = groups(student.graph)
    _check(actions, shrinks(student.graph))
    by_name = {group.name: group for group in found.cuttable}
    chosen: dict[Group, Array] = {}
    for name, share in actions.items():
        count = max(1, round(float(share) * by_name[name].size))
        if count < by_name[name].size:
            chosen[by_name[name]] = np.arange(count)
    if not chosen:
        return student
    return Student(restricted(found, chosen), taken(found, student.weights, chosen))


def compress(
    teacher: Student, accuracy: float, evaluate: Evaluate, trials: int = 50, seed: int = 0, rate: float = 0.01
) -> Compressed:
    """The best student of both stages, each of so many trials; the second goes on from the best of the first.

    `accuracy` is the teacher's, `rate` that at which the policies learn. The teacher itself has no reward, since it is
    not smaller.
    """
    whole, rng = _parameters(teacher), np.random.default_rng(seed)

    def stage(start: Student, policy: _Layers, act: Act) -> tuple[_Scored, list[tuple[Actions, float]]]:
        best, history = _Scored(start, float("-inf")), list[tuple[Actions, float]]()
        for _ in range(trials):
            actions = policy.draw(rng)
            student = act(start, actions)
            found = reward(evaluate(student), accuracy, _parameters(student), whole)
            policy.learn(actions, found)
            history.append((actions, found))
            best = max(best, _Scored(student, found), key=lambda scored: scored.reward)
        return best, history

    parts = _Layers(_described_parts(teacher.graph), (KEEP, REMOVE), False, rate, seed)
    shallow, first = stage(teacher, parts, removed)
    dimensions = _Layers(_described_dimensions(shallow.student.graph), SHARES, True, rate, seed)
    narrow, second = stage(shallow.student, dimensions, shrunk)
    best = max(shallow, narrow, key=lambda scored: scored.reward)
    return Compressed(best.student, best.reward, first, second)


class _Layers:
    """A policy over layers, that reads what all of them are; or what those before are, and its last action."""

    def __init__(
        self, described: Mapping[str, Sequence[float]], labels: Sequence[str], in_turn: bool, rate: float, seed: int
    ) -> None:
        self.names = tuple(described)
        self.labels = labels
        self.in_turn = in_turn
        self.described = np.array([*described.values()])
        self.baseline = Baseline()
        self.open = np.ones((len(described), len(labels)), bool)
        if described:
            width = self.described.shape[1] + (len(labels) if in_turn else 0)
            block = "sequence_controller" if in_turn else "layer_controller"
            self.policy = Policy(controller(block, len(labels), HIDDEN, f"seen: [N, T, {width}]"), rate, seed=seed)

    def draw(self, rng: Any) -> Actions:
        """An action for each layer."""
        chosen = list[int]()
        while len(chosen) < len(self.names):
            odds = self.policy.odds(self.open, self._seen(chosen))
            rows = odds[len(chosen) : len(chosen) + 1] if self.in_turn else odds
            chosen += [drawn(row, rng) for row in rows]
        return {name: self.labels[i] for name, i in zip(self.names, chosen, strict=True)}

    def learn(self, actions: Actions, reward: float) -> None:
        """Learn from what came of some actions."""
        advantage = self.baseline.advantage(reward)
        if actions:
            chosen = [self.labels.index(actions[name]) for name in self.names]
            self.policy.learn([Episode((self._seen(chosen),), self.open, chosen)], advantage)

    def _seen(self, chosen: Sequence[int]) -> Array:
        if not self.in_turn:
            return self.described
        before = np.zeros(self.open.shape)
        for row, action in enumerate(chosen[: len(before) - 1], 1):
            before[row, action] = 1
        return np.concatenate([self.described, before], axis=1)


def _described_parts(graph: Graph) -> dict[str, list[float]]:
    """What the policy reads of each part: its kind, how large it is, and its largest kernel."""
    return {
        name: [*(float(part.kind == kind) for kind in KINDS), *_sizes(part.weights)]
        for name, part in _parts(graph).items()
    }


def _described_dimensions(graph: Graph) -> dict[str, list[float]]:
    """What the policy reads of each dimension: how many units it has, and what the weights are that it occurs in."""
    return {
        group.name: [math.log10(group.size), *_sizes([member.weight for member in group.members if member.learns])]
        for group in groups(graph).cuttable
    }


def _sizes(weights: Sequence[Value]) -> list[float]:
    """How many weights there are and how many numbers in them, as logarithms, and the largest kernel."""
    shapes = [tuple(map(known, w.shape)) for w in weights]
    kernels = [math.prod(shape[2:]) for shape in shapes if len(shape) > 2]
    return [
        math.log10(1 + len(shapes)),
        math.log10(1 + sum(map(math.prod, shapes))),
        math.log10(max(kernels, default=1)),
    ]


@dataclass(frozen=True)
class _Scored:
    student: Student
    reward: float


def _parameters(student: Student) -> int:
    count = cost.parameters(student.graph)
    assert isinstance(count, int), "weights have known sizes"
    return count


def _parts(graph: Graph) -> dict[str, Sublayer]:
    found = branches(graph)
    names = [part.name for part in found]
    return {
        name if names.count(name) == 1 else f"{name}#{i}": part
        for i, (name, part) in enumerate(zip(names, found, strict=True))
    }


def _dimensions(graph: Graph) -> list[str]:
    return [group.name for group in groups(graph).cuttable]


def _check(actions: Actions, known: Mapping[str, tuple[str, ...]]) -> None:
    for name, action in actions.items():
        if action not in known.get(name, ()):
            what = f"nothing is called `{name}`" if name not in known else f"`{name}` has no action `{action}`"
            raise error(
                "E940", what, hint=nearest(name, known) if name not in known else f"it has {', '.join(known[name])}"
            )
