"""What a mixture is to be beside good: decided, and cheap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from architrave.dsl.elaborate.core import Labels
from architrave.ir import build
from architrave.ir.graph import Graph, Value
from architrave.ir.ops.leaves import path_of
from architrave.ir.place import marked
from architrave.ir.types import TensorType
from architrave.passes.search.weighed import Weighed, alpha_path
from architrave.search.space.table import Terms
from architrave.train.objective import Objective


@dataclass(frozen=True, eq=False)
class Penalized(Objective):
    """A loss, `entropy` times that of what weighs the alternatives, and `cost` times what the mixture costs.

    The entropy is the sum over all decisions; at 0 each has one alternative left. A mixture costs what its members cost
    on average, drawn label by label as it weighs them; `terms` has the costs, as `bit_terms` gives them, in units of
    `unit`.
    """

    supernet: Weighed | None = None
    entropy: float = 0.0
    cost: float = 0.0
    terms: Terms = field(default_factory=dict[frozenset[Labels], int])
    unit: float = 1.0

    @property
    def judge(self) -> Objective:
        """The loss alone."""
        return Objective(self.loss, self.arguments)

    def attached(self, network: Graph, target: TensorType | None = None) -> Graph:
        """The network with the loss and both penalties as its output. Raises E542, E543."""
        found = super().attached(network, target)
        assert self.supernet is not None, "penalties are those of a supernet"
        with marked(place=network.place):
            shares = mixture(found, self.supernet.labels)
            (total,) = found.outputs
            total = total + self.entropy * entropy(shares) + self.cost * expected(self.terms, shares, self.unit)
        return replace(found, outputs=(total,))


Shares = Mapping[tuple[str, str], Value]
"""How much each label weighs, a number, by decision and label."""


def mixture(graph: Graph, labels: Mapping[str, Sequence[str]]) -> dict[tuple[str, str], Value]:
    """How much the alternatives of a mixture weigh, as values of its graph."""
    weights = {path_of(w): w for w in graph.weights}
    found: dict[tuple[str, str], Value] = {}
    for path, known in labels.items():
        share = build.softmax(weights[alpha_path(path)])
        parts = (build.reshape(build.slice(share, [i], [i + 1], [1]), []) for i in range(len(known)))
        found |= {(path, label): part for label, part in zip(known, parts, strict=True)}
    return found


def entropy(shares: Shares) -> Value:
    """`-sum(p * log p)` over all labels, in nats."""
    total: Value = build.full(0.0, [])
    for share in shares.values():
        total = total - share * build.log(build.maximum(share, 1e-30))
    return total


def expected(terms: Terms, shares: Shares, unit: float = 1.0) -> Value:
    """What members cost on average whose labels are drawn as they weigh, in units of `unit`.

    Where one of several alternatives is enough for a term, these count as if they were drawn by themselves, unless they
    are labels of one decision.
    """
    total: Value = build.full(0.0, [])
    for when, amount in terms.items():
        total = total + (amount / unit) * _chance(sorted(when), shares)
    return total


def _chance(when: Sequence[Labels], shares: Shares) -> Value:
    """How likely it is that all labels of one of several are taken."""
    none: Value = build.full(1.0, [])
    for group in _grouped(when):
        some: Value = build.full(0.0, [])
        for labels in group:
            each: Value = build.full(1.0, [])
            for label in labels:
                each = each * shares[label]
            some = some + each
        none = none * (1.0 - some)
    return 1.0 - none


def _grouped(when: Sequence[Labels]) -> list[list[Labels]]:
    """Labels that cannot be taken together, together: those that differ in the last label alone."""
    groups: dict[tuple[Labels, str], list[Labels]] = {}
    for labels in when:
        groups.setdefault((labels[:-1], labels[-1][0]) if labels else ((), ""), []).append(labels)
    return [*groups.values()]
