"""Policies that are networks of our own: they give the odds of decisions, and learn from what came of them.

Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning" (1992). The
networks are those of `std.controller`, compiled to NumPy, with their gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from architrave.backends.load import Program, compile
from architrave.ir.arrays import Array
from architrave.ir.build import input
from architrave.ir.graph import Graph, Value
from architrave.ir.types import DType, TensorType
from architrave.models import find_in_text
from architrave.train import Objective, Recipe, Schedule, Trainer, optimizer

LOSS = "std.controller:policy_gradient"


@dataclass
class Baseline:
    """Counts rewards from their moving average, in units of the deviation of those so far."""

    decay: float = 0.9
    _average: float = 0.0
    _rewards: list[float] = field(default_factory=list[float])

    def advantage(self, reward: float) -> float:
        """By how much the next reward is more than what could be expected."""
        if not self._rewards:
            self._average = reward
        self._rewards.append(reward)
        deviation = float(np.std(self._rewards)) if np.ptp(self._rewards) else 1.0
        found = (reward - self._average) / deviation
        self._average = self.decay * self._average + (1 - self.decay) * reward
        return found


@dataclass(frozen=True)
class Episode:
    """Decisions that were taken together: what the network saw, which labels were open, and those that were taken.

    `seen` are its inputs, `open` is bool [T, labels], `chosen` the position of a label for each of the T decisions.
    """

    seen: tuple[Array, ...]
    open: Array
    chosen: Sequence[int]


class Policy:
    """A network that scores the labels of decisions.

    policy = Policy(controller("sequence_controller", 12, 32, "seen: [N, T, 12]"), rate=0.01)
    odds = policy.odds(open, seen)
    policy.learn([Episode((seen,), open, chosen)], advantage)
    """

    def __init__(self, network: Graph, rate: float, entropy: float = 0.0, seed: int = 0) -> None:
        """Learn by Adam at a rate; `entropy` rewards odds that leave much open. The seed gives the first weights."""
        recipe = Recipe(optimizer("adam"), _Reinforced(LOSS, {"entropy": float(entropy)}))
        self._program: Program = compile(network, "numpy")
        self._trainer = Trainer(network, recipe, Schedule(rate, 1), dtype="float64", seed=seed)
        self._weights = self._trainer.weights()

    def odds(self, open: Array, *seen: Array) -> Array:
        """How likely each label is: float64 [T, labels], 0 for those that are not open."""
        scores = self._program(self._weights, *(x[None] for x in seen))[0]
        scores = np.where(open, scores, -np.inf)
        odds = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares: Array = odds / odds.sum(axis=-1, keepdims=True)
        return shares

    def learn(self, episodes: Sequence[Episode], advantage: float) -> None:
        """Make what was chosen likelier, or less likely where the advantage is below 0."""
        for one in episodes:
            about = (one.open[None], np.array([one.chosen]), np.array([advantage]))
            self._trainer.train(*(x[None] for x in one.seen), *about)
        self._weights = self._trainer.weights()


def controller(block: str, labels: int, hidden: int, *inputs: str) -> Graph:
    """A block of `std.controller` as a network; inputs are typed as in `.arch` text: `seen: [N, T, 12]`."""
    names = ", ".join(one.partition(":")[0] for one in inputs)
    text = f"""from std.controller import {block}
model Policy()({", ".join(inputs)}) -> [N, _, _] = ({names}) -> "": {block}({labels}, {hidden})
"""
    return find_in_text(text).elaborate({}).graph


def drawn(odds: Array, rng: Any) -> int:
    """The position of a label, as likely as the odds [labels] say."""
    return int(rng.choice(len(odds), p=odds))


@dataclass(frozen=True)
class _Reinforced(Objective):
    """A loss of a network's scores that gets the labels that are open, those taken, and an advantage."""

    def attached(self, network: Graph, target: TensorType | None = None) -> Graph:
        (scores,) = network.outputs
        examples, decisions, labels = scores.shape
        open = input("open", TensorType(DType.BOOL, (examples, decisions, labels)))
        chosen = input("chosen", TensorType(DType.I64, (examples, decisions)))
        advantage: Value = input("advantage", TensorType(DType.FLOAT, (examples,)))
        given = (open, chosen, advantage)
        return replace(network, inputs=(*network.inputs, *given), outputs=self.losses(scores, *given))
