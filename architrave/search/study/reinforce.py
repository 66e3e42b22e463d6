"""A recurrent policy that learns which members to try.

Zoph and Le, "Neural Architecture Search with Reinforcement Learning" (2017), by REINFORCE with a baseline, as here;
Zoph, Vasudevan, Shlens and Le, "Learning Transferable Architectures for Scalable Image Recognition" (2018), by PPO.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from architrave.dsl.space import Domain
from architrave.ir.source import error
from architrave.search.space.members import Member, Space
from architrave.search.study.policy import Baseline, Episode, Policy, controller, drawn
from architrave.search.study.strategies import TRIES, Turn


class Learner:
    """What a recurrent policy has learnt of some trials, `learnt`, in their order."""

    def __init__(self, space: Space, policy: Policy, baseline: Baseline) -> None:
        """`policy` scores all labels of the space, side by side, and sees the one taken before."""
        self.space = space
        self.policy = policy
        self.baseline = baseline
        self.learnt: list[tuple[Member, float]] = []
        self._labels = [(path, label) for path, some in space.labels.items() for label in some]
        self._position = {pair: i for i, pair in enumerate(self._labels)}
        self._open = {path: np.array([at == path for at, _ in self._labels]) for path in space.labels}

    def draw(self, rng: Any) -> Member:
        """A member, one decision after another."""
        paths, chosen = list[str](), list[int]()

        def label(domain: Domain) -> str:
            paths.append(domain.path)
            so_far = self._episode(paths, chosen)
            chosen.append(drawn(self.policy.odds(so_far.open, *so_far.seen)[-1], rng))
            return self._labels[chosen[-1]][1]

        return self.space.walk(label)

    def odds(self, member: Member) -> dict[str, Mapping[str, float]]:
        """How likely each label is at each decision of a member, after those that it took before."""
        one = self._episode(*self._taken(member))
        odds = self.policy.odds(one.open, *one.seen)
        by_label = (zip(self._labels, row, strict=True) for row in odds.tolist())
        return {
            path: {label: share for (at, label), share in row if at == path}
            for path, row in zip(self._taken(member)[0], by_label, strict=True)
        }

    def learn(self, member: Member, reward: float) -> None:
        """Learn from one trial more."""
        self.learnt.append((member, reward))
        advantage = self.baseline.advantage(reward)
        if member:
            self.policy.learn([self._episode(*self._taken(member))], advantage)

    def _taken(self, member: Member) -> tuple[list[str], list[int]]:
        """The decisions of a member on the way through the space, and the positions of its labels."""
        paths = list[str]()

        def label(domain: Domain) -> str:
            paths.append(domain.path)
            return member[domain.path]

        self.space.walk(label)
        return paths, [self._position[path, member[path]] for path in paths]

    def _episode(self, paths: Sequence[str], chosen: Sequence[int]) -> Episode:
        """Of decisions that were met, of which all or all but the last are taken."""
        count = len(self._labels)
        taken = np.eye(count)[np.array(chosen, int)]
        seen = np.concatenate([np.zeros((1, count)), taken])[: len(paths)]
        return Episode((seen,), np.array([self._open[path] for path in paths]), chosen)


@dataclass
class Reinforce:
    """An LSTM reads the decisions taken so far and gives the odds of the next; it learns from all trials, in order.

    By Adam at `rate`; rewards count from their moving average, of which each step keeps `decay`, and `entropy` rewards
    odds that leave much open. What was learnt is kept in this process, so as to learn from new trials alone: it follows
    from them and the seed.
    """

    rate: float = 0.006
    decay: float = 0.9
    entropy: float = 0.05
    hidden: int = 32
    _learner: Learner | None = field(default=None, init=False, repr=False, compare=False)

    def propose(self, turn: Turn) -> Member:
        """A member drawn from the policy. Raises E967 with several objectives."""
        learner = self.learner(turn)
        return _feasible(turn, lambda: learner.draw(turn.rng))

    def learner(self, turn: Turn) -> Learner:
        """The policy after all trials."""
        space, rewards = turn.feasible.costs.space, _rewards(turn)
        known = self._learner
        if known is None or known.space is not space or rewards[: len(known.learnt)] != known.learnt:
            known = self._learner = self._new(space, turn.seed)
        for member, reward in rewards[len(known.learnt) :]:
            known.learn(member, reward)
        return known

    def _new(self, space: Space, seed: int) -> Learner:
        count = sum(map(len, space.labels.values()))
        graph = controller("sequence_controller", count, self.hidden, f"seen: [N, T, {count}]")
        return Learner(space, Policy(graph, self.rate, self.entropy, seed), Baseline(self.decay))


def _feasible(turn: Turn, draw: Callable[[], Member]) -> Member:
    """A drawn member that keeps the constraints, if one is found quickly."""
    for _ in range(TRIES):
        member = draw()
        if not turn.feasible.broken(member):
            return member
    return turn.fresh()


def _rewards(turn: Turn) -> list[tuple[Member, float]]:
    return [(member, _one(values)) for member, values in turn.scored]


def _one(values: Sequence[float]) -> float:
    if len(values) != 1:
        hint = "take `evolution`, `nsga2` or `tpe`, or give one objective"
        raise error("E967", f"`reinforce` has one reward, and there are {len(values)} objectives", hint=hint)
    return values[0]
