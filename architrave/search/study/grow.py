"""A network that grows by edits which keep its function, as a policy that reads its tree decides.

Cai, Yang, Zhang, Han and Yu, "Path-Level Network Transformation for Efficient Architecture Search" (2018), and Cai,
Chen, Zhang, Yu and Wang, "Efficient Architecture Search by Network Transformation" (2018). Whatever is tried begins as
the same function as what it was edited from, with its weights. Other than there, each layer of a network is edited by
itself, where they edit one cell that occurs many times; the policy takes one edit after another, anywhere in the tree,
where theirs goes down it; and since all edits keep the function exactly, no branch becomes a pooling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from architrave.ir.arrays import Array
from architrave.passes import Select
from architrave.search.study.policy import Baseline, Episode, Policy, controller, drawn
from architrave.search.study.tree import EDITS, FEATURES, Edited, Tree

STOP = "stop"
LABELS = (STOP, *EDITS)
HIDDEN = 32
"""The units of each LSTM."""

Evaluate: TypeAlias = Callable[[Edited], tuple[float, Mapping[str, Array]]]
"""The reward of a network, such as its accuracy after some training, and the weights that it has then.

Nothing is learnt from a reward that is not finite.
"""


@dataclass(frozen=True)
class Growth:
    """How to search: `trials` networks in each of `phases`, each of up to `edits` edits of the phase's first network.

    The next phase begins with the best network so far and what it has learnt. `only` chooses the layers that may be
    edited; `depth` is how often one may be branched, and its branches again.
    """

    trials: int = 50
    edits: int = 3
    phases: int = 1
    only: str = "*"
    depth: int = 3
    rate: float = 0.006
    entropy: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Grown:
    """The best network, with the weights that it has learnt, its reward, and all that were tried, in their order."""

    network: Edited
    reward: float
    tried: Sequence[tuple[tuple[str, ...], float]]


def grow(start: Edited, evaluate: Evaluate, how: Growth | None = None) -> Grown:
    """Look for edits of a network that pay. What is found is at least as good as `start`, which is tried first.

    It follows from `how` and from what `evaluate` gives: where that remembers its answers by `Edited.edits`, a search
    that was cut off goes on as if it had not been. Raises E805 for a malformed selector.
    """
    how = how or Growth()
    block = controller("tree_controller", len(LABELS), HIDDEN, f"seen: [N, T, {FEATURES}]", "below: [N, T, T]")
    policy, baseline = Policy(block, how.rate, how.entropy, how.seed), Baseline()
    best = _judged(start, evaluate)
    tried = [(start.edits, best.reward)]
    if math.isfinite(best.reward):
        baseline.advantage(best.reward)
    for phase in range(how.phases):
        origin = best.network.settled()
        known = {origin.edits: best.reward}
        for trial in range(how.trials):
            network, episodes = _drawn(origin, policy, how, np.random.default_rng([how.seed, phase, trial]))
            if network.edits not in known:
                found = _judged(network, evaluate)
                known[network.edits] = found.reward
                best = max(best, found, key=lambda one: one.reward)
            reward = known[network.edits]
            tried.append((network.edits, reward))
            if math.isfinite(reward):
                policy.learn(episodes, baseline.advantage(reward))
    return replace(best, tried=tuple(tried))


def _judged(network: Edited, evaluate: Evaluate) -> Grown:
    """A network with what it has learnt, and its reward: minus infinity for what is not finite."""
    reward, weights = evaluate(network)
    return Grown(replace(network, weights=weights), reward if math.isfinite(reward) else -math.inf, ())


def _drawn(network: Edited, policy: Policy, how: Growth, rng: Any) -> tuple[Edited, list[Episode]]:
    """A network after some edits, and how the policy came to them."""
    only, episodes = Select.parse(how.only), list[Episode]()
    for _ in range(how.edits):
        tree = Tree(network.graph, only, how.depth)
        stop = np.arange(len(tree.places)) == 0
        open, seen = np.column_stack([stop, tree.open]).reshape(1, -1), (tree.seen, tree.below)
        chosen = drawn(policy.odds(open, *seen)[0], rng)
        episodes.append(Episode(seen, open, [chosen]))
        where, what = divmod(chosen, len(LABELS))
        if LABELS[what] == STOP:
            break
        network = network.edit(tree.places[where], LABELS[what])
    return network, episodes
