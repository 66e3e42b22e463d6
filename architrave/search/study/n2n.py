"""A network found inside a larger one: a policy leaves out layers, and then another makes those that stay narrower.

Ashok, Rhinehart, Beainy and Kitani, "N2N Learning: Network to Network Compression via Policy Gradient Reinforcement
Learning" (2018). Every student has types that fit: only what is added to its own input can be left out, and a dimension
is made narrower in all weights that share it. The policies have a preference for each action, where the paper's are
LSTMs over descriptions of the layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from architrave.ir import cost
from architrave.ir.arrays import Array
from architrave.ir.axes.groups import Group, groups
from architrave.ir.axes.restrict import restricted, taken
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error, nearest
from architrave.passes.structure.drop import dropped
from architrave.passes.structure.sublayers import Sublayer, branches
from architrave.search.study.strategies import drawn, preferences

KEEP, REMOVE = "keep", "remove"
SHARES = ("1.0", "0.8", "0.6", "0.4", "0.2")
"""The shares of a dimension that may stay."""

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


def compress(teacher: Student, accuracy: float, evaluate: Evaluate, trials: int = 50, seed: int = 0) -> Compressed:
    """The best student of both stages, each of so many trials; the second goes on from the best of the first.

    `accuracy` is the teacher's. The teacher itself has no reward, since it is not smaller.
    """
    whole, rng = _parameters(teacher), np.random.default_rng(seed)

    def stage(
        start: Student, labels: Mapping[str, Sequence[str]], act: Act
    ) -> tuple[_Scored, list[tuple[Actions, float]]]:
        best, history = _Scored(start, float("-inf")), list[tuple[Actions, float]]()
        for _ in range(trials):
            actions = drawn(labels, preferences(labels, history), rng)
            student = act(start, actions)
            found = reward(evaluate(student), accuracy, _parameters(student), whole)
            history.append((actions, found))
            best = max(best, _Scored(student, found), key=lambda scored: scored.reward)
        return best, history

    shallow, first = stage(teacher, removals(teacher.graph), removed)
    narrow, second = stage(shallow.student, shrinks(shallow.student.graph), shrunk)
    best = max(shallow, narrow, key=lambda scored: scored.reward)
    return Compressed(best.student, best.reward, first, second)


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
