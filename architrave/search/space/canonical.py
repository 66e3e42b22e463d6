"""What a network is up to isomorphism: a hash that members of a space share where they are the same network.

Names do not count, nor the order of what is added or multiplied. Weights count by type and initializer, and by what
they are used for: one that is used twice is not two.

The hash is that of a colouring, as by Weisfeiler and Leman, "The Reduction of a Graph to Canonical Form and the Algebra
Which Appears Therein" (1968), of a network whose equal expressions are one. Every value is coloured by what it is made
of, and then by what is made of it; the second colours of the weights tell those that are shared from those that are
not. Isomorphic networks always have one hash. Others could have it too, if they were regular in the way in which that
algorithm fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from architrave.dsl.elaborate.core import Labels
from architrave.ir.graph import Graph
from architrave.ir.recent import Recent
from architrave.search.space.costs import KEPT, Costs
from architrave.search.space.members import Member
from architrave.search.space.plan import Plan, planned

COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum"})
"""Operators whose operands have no order, and which may be nested in any way."""


@dataclass(frozen=True)
class Canonical:
    """The hashes of the members of a space, which are not built for that.

    With `concat` among what is commutative, networks that differ in the order of channels alone count as one, as cells
    do in NAS-Bench-101. They are where nothing but weights takes the channels apart.
    """

    costs: Costs
    commutative: frozenset[str] = COMMUTATIVE
    _plans: Recent[Labels, Plan] = field(default_factory=lambda: Recent(KEPT))

    def hash(self, member: Member) -> str:
        """32 hexadecimal digits. Raises E952 for what is no member."""
        self.costs.space.check(member)
        numbers = self.costs.numbers(member)
        plan = self._plans.of(numbers, lambda: planned(self.costs.graph(member), self.commutative))
        return plan.digest(member).hex()

    def unique(self, members: Iterable[Member]) -> dict[str, Member]:
        """The first of the members with each hash."""
        found: dict[str, Member] = {}
        for member in members:
            found.setdefault(self.hash(member), member)
        return found


def canonical_hash(graph: Graph, member: Member | None = None, commutative: frozenset[str] = COMMUTATIVE) -> str:
    """The hash of a network, or of the member of one that keeps its choices: 32 hexadecimal digits."""
    return planned(graph, commutative).digest(member or {}).hex()
