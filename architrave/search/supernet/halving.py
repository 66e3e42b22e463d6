"""Searching by leaving out the worst alternatives, half of them after each stage of training.

Chen, Zhuo, Zhang and others, "Binarized Neural Architecture Search" (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from architrave.ir.choice import choices
from architrave.ir.graph import Graph
from architrave.passes.search.narrowed import narrowed
from architrave.search.supernet.draws import Fair

Scores: TypeAlias = Mapping[str, Mapping[str, float]]
"""How good each label of each decision is, higher for better."""
Judge: TypeAlias = Callable[[Mapping[str, str]], float]
"""How good a member is, with the weights of a supernet: its accuracy on held-out examples."""
Stage: TypeAlias = Callable[[Graph], tuple[Judge, Scores | None]]
"""Trains a graph that keeps its choices; gives a judge of its members, and what the labels weigh if it is a mixture."""


@dataclass(frozen=True)
class Halved:
    """What came of it: the graph without choices, the label of each decision, and the labels left after each stage."""

    graph: Graph
    member: Mapping[str, str]
    stages: Sequence[Mapping[str, Sequence[str]]]
    scores: Mapping[str, float]
    """Of each decision, the last score of the label that stayed."""


def measured(decisions: Mapping[str, Sequence[str]], judge: Judge, rounds: int, seed: int = 0) -> Scores:
    """For each label the mean score of members that have it: in a round each label is there once, or more often."""
    draw = Fair(decisions, seed)
    found: dict[str, dict[str, list[float]]] = {
        path: {label: [] for label in labels} for path, labels in decisions.items()
    }
    for step in range(rounds * max(map(len, decisions.values()))):
        member = draw(step)
        score = judge(member)
        for path, label in member.items():
            found[path][label].append(score)
    return {path: {label: sum(s) / len(s) for label, s in each.items()} for path, each in found.items()}


def worst_half(scores: Scores) -> dict[str, tuple[str, ...]]:
    """Of each decision the labels with the lowest scores, half of them, rounded down; of equal ones the later."""
    found: dict[str, tuple[str, ...]] = {}
    for path, each in scores.items():
        ranked = sorted(each, key=lambda label: -each[label])
        found[path] = tuple(ranked[(len(ranked) + 1) // 2 :])
    return found


def halved(graph: Graph, stage: Stage, rounds: int = 5, seed: int = 0) -> Halved:
    """Train, score, and leave out the worse half of the labels of each decision, until each has one.

    A score is the mean of members that have the label, as `judge` says; where the stage trains a mixture, that and what
    the label weighs count half each. Weights keep their paths, so that each stage may start from those before.
    """
    whole = choices(graph)
    member = {path: labels[0] for path, labels in whole.items() if len(labels) == 1}
    stages: list[Mapping[str, Sequence[str]]] = [whole]
    last: dict[str, float] = {}
    while open_ := {path: labels for path, labels in choices(graph).items() if len(labels) > 1}:
        judge, shares = stage(graph)
        scores = measured(open_, judge, rounds, seed)
        if shares is not None:
            scores = {p: {name: (s + shares[p][name]) / 2 for name, s in each.items()} for p, each in scores.items()}
        dropped = worst_half(scores)
        graph = narrowed(graph, dropped)
        left = {path: tuple(label for label in each if label not in dropped[path]) for path, each in scores.items()}
        stages.append({**stages[-1], **left})
        decided = {path: labels[0] for path, labels in left.items() if len(labels) == 1}
        member |= decided
        last |= {path: scores[path][label] for path, label in decided.items()}
    return Halved(graph, {path: member[path] for path in whole if path in member}, stages, last)
