"""Several supernets between which the members of a space are divided, as many to each.

Members that share weights hinder one another. With several sets of weights each member goes to that which suits it
best, as far as no set gets more than its share: Javan, Toews and Pedersoli, "Balanced Mixture of SuperNets for Learning
the CNN Pooling Architecture" (2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from architrave.ir import build
from architrave.ir.arrays import Array
from architrave.ir.graph import Graph, Value
from architrave.ir.place import Block, Place, marked
from architrave.ir.prefix import prefixed, prefixed_weights
from architrave.ir.source import error
from architrave.search.space.members import Member
from architrave.search.supernet.child import Child
from architrave.search.supernet.nested import SliceTrainer

SET = "set"
"""What the paths of the sets of weights begin with."""
LARGEST = 100_000
"""Members of which a table is made."""
ROUNDS = 10_000
"""How often rows and columns are scaled."""


def balanced(scores: Any, temperature: float = 1.0, tolerance: float = 1e-12) -> Array:
    """A table of probabilities [members, sets] that prefers high scores: rows sum to 1, columns to the same number.

    Of all such tables that which is nearest to the softmax of `scores / temperature`: Sinkhorn and Knopp, "Concerning
    Nonnegative Matrices and Doubly Stochastic Matrices" (1967); Cuturi, "Sinkhorn Distances" (2013). float64.
    """
    logs = np.asarray(scores, np.float64) / temperature
    count, sets = logs.shape
    share = np.log(count / sets)
    for _ in range(ROUNDS):
        logs = logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)
        sums = np.logaddexp.reduce(logs, axis=0, keepdims=True) - share
        if np.abs(np.expm1(sums)).max() <= tolerance:
            break
        logs = logs - sums
    table: Array = np.exp(logs)
    return table


class BalancedMixture:
    """Sets of weights, and which of them each member goes to: `table`, [members, sets].

    A step draws a member, and a set by its row; that set alone learns. What members lose with each set is averaged over
    time, and after every `every` steps the table is made anew of that.
    """

    def __init__(
        self,
        trainer: SliceTrainer,
        weights: Sequence[Mapping[str, Any]],
        *,
        every: int = 50,
        temperature: float = 0.1,
        forget: float = 0.1,
    ) -> None:
        """Each set begins with its own `weights`. Raises E979 for a space that is too large for a table."""
        self.space = trainer.slices.costs.space
        if self.space.size > LARGEST:
            raise error("E979", f"`{self.space.name}` has {self.space.size:,} members: a table of {LARGEST:,} at most")
        self.slices, self.sets = trainer.slices, [trainer.beside(each) for each in weights]
        self.every, self.temperature, self.forget, self.seed = every, temperature, forget, trainer.seed
        self.steps = 0
        self.table = np.full((self.space.size, len(self.sets)), 1 / len(self.sets))
        self.losses = np.full(self.table.shape, np.nan)
        """The average loss of each member with each set; NaN where none is known."""

    def train(self, *arrays: Any) -> float:
        """Let a set learn with a member from a batch: inputs and target. Gives the loss before."""
        rng: Any = np.random.default_rng((self.seed, self.steps))
        number = int(rng.integers(self.space.size))
        chosen = int(rng.choice(len(self.sets), p=self.table[number]))
        (loss,) = self.sets[chosen].train(*arrays, members=[self.space.member(number)])
        known = self.losses[number, chosen]
        self.losses[number, chosen] = loss if np.isnan(known) else (1 - self.forget) * known + self.forget * loss
        self.steps += 1
        if self.steps % self.every == 0:
            self.rebalance()
        return loss

    def rebalance(self) -> None:
        """Make the table of the losses that are known. One that is not counts as what the member loses on average."""
        known = ~np.isnan(self.losses)
        filled = np.where(known, self.losses, 0)
        mean = filled.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
        self.table = balanced(-np.where(known, self.losses, mean), self.temperature)

    def chosen(self, member: Member) -> int:
        """The set that a member most probably goes to."""
        return int(self.table[self.space.number(member)].argmax())

    def child(self, member: Member) -> Child:
        """A member with the weights of its set."""
        return self.slices.child(member, self.sets[self.chosen(member)].weights())

    def mixed(self, member: Member, row: Any = None) -> Graph:
        """A member with all sets at once, whose outputs are averaged by its row of the table, or by another one."""
        root = Place("", Block("model", "Mixture", "A member with several sets of weights."))
        shares = self.table[self.space.number(member)] if row is None else row
        network = self.slices.network(member)
        with marked(place=root):
            inputs = [build.input(v.hint or "x", v.type) for v in network.inputs]
        parts = [prefixed(network, f"{SET}.{m}", root, inputs) for m in range(len(self.sets))]
        with marked(place=root):
            total: Value = parts[0].outputs[0] * float(shares[0])
            for part, share in zip(parts[1:], shares[1:], strict=True):
                total = total + part.outputs[0] * float(share)
        weights = tuple(w for part in parts for w in part.weights)
        return replace(network, inputs=tuple(inputs), outputs=(total,), weights=weights, updates=(), place=root)

    def weights(self, member: Member) -> dict[str, Array]:
        """The weights of `mixed`, by path."""
        found: dict[str, Array] = {}
        for m, each in enumerate(self.sets):
            found |= prefixed_weights(self.slices.weights(member, each.weights()), f"{SET}.{m}")
        return found
