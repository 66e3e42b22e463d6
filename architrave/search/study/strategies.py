"""Which member is tried next: by chance, in order, or by evolution; `reinforce.py` has policies that learn.

A strategy keeps nothing between two proposals: what it goes by are the trials so far. So a search that was cut off goes
on as if it had not been, and several processes search together.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from architrave.search.space.feasible import Feasible
from architrave.search.space.members import Member

TRIES = 100
"""How often a member that breaks a constraint, or was tried before, is drawn anew."""


@dataclass(frozen=True)
class Tried:
    """A member that was looked at, and its values, of which more is better; None where the trial failed."""

    member: Member
    values: tuple[float, ...] | None


@dataclass(frozen=True)
class Turn:
    """What a strategy goes by: the space, a generator of its own, the place in the search, and what was tried."""

    feasible: Feasible
    rng: Any
    slot: int
    tried: Sequence[Tried]
    seed: int = 0
    """That of the whole search."""

    @cached_property
    def known(self) -> set[tuple[tuple[str, str], ...]]:
        """The members that were tried."""
        return {key(past.member) for past in self.tried}

    @property
    def scored(self) -> list[tuple[Member, tuple[float, ...]]]:
        """The members that have values, with them."""
        return [(past.member, past.values) for past in self.tried if past.values is not None]

    def fresh(self) -> Member:
        """A member that keeps the constraints, and which was not tried if one is found quickly. Raises E954."""
        member = self.feasible.sample(self.rng)
        for _ in range(TRIES):
            if key(member) not in self.known:
                break
            member = self.feasible.sample(self.rng)
        return member


class Strategy(Protocol):
    """A way to search."""

    def propose(self, turn: Turn) -> Member:
        """The member to try. Raises E954 where the space has none."""
        ...


@dataclass(frozen=True)
class Random:
    """Members drawn at random, each once while there are others."""

    def propose(self, turn: Turn) -> Member:
        """A member that was not tried."""
        return turn.fresh()


@dataclass(frozen=True)
class Grid:
    """All members by their numbers, those that break a constraint left out."""

    def propose(self, turn: Turn) -> Member:
        """The member whose turn it is."""
        return next(itertools.islice(keeping(turn.feasible), turn.slot, None))


@dataclass(frozen=True)
class Evolution:
    """The best of a few of the youngest members has a child; the oldest goes.

    Real, Aggarwal, Huang and Le, "Regularized Evolution for Image Classifier Architecture Search" (2019). With several
    objectives that one is best which fewest of the others beat in all. A child differs at one decision; with a chance
    of `crossover` its decisions first come from two parents.
    """

    population: int = 20
    tournament: int = 5
    crossover: float = 0.0

    def propose(self, turn: Turn) -> Member:
        """A child, or at first a member drawn at random."""
        alive = turn.scored[-self.population :]
        if len(turn.tried) < self.population or not alive:
            return turn.fresh()
        space = turn.feasible.costs.space
        for _ in range(TRIES):
            member = self._parent(alive, turn.rng)
            if self.crossover and turn.rng.random() < self.crossover:
                member = space.cross(member, self._parent(alive, turn.rng), turn.rng)
            member = space.mutate(member, turn.rng)
            if key(member) not in turn.known and not turn.feasible.broken(member):
                return member
        return turn.fresh()

    def _parent(self, alive: Sequence[tuple[Member, tuple[float, ...]]], rng: Any) -> Member:
        chosen: list[int] = rng.permutation(len(alive))[: self.tournament].tolist()
        some = [alive[i] for i in chosen]
        return min(some, key=lambda one: sum(dominates(other[1], one[1]) for other in some))[0]


def dominates(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether values are nowhere worse and somewhere better than others."""
    return all(x >= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)


def key(member: Member) -> tuple[tuple[str, str], ...]:
    """A member as what sets and dictionaries hold."""
    return tuple(sorted(member.items()))


def keeping(feasible: Feasible) -> Any:
    """The members that keep all constraints, by their numbers."""
    return (member for member in feasible.costs.space if not feasible.broken(member))
