"""Cutting dimensions of a network: every weight and operator that has them becomes smaller."""

from __future__ import annotations

from fnmatch import fnmatchcase

from architrave.ir.arrays import np
from architrave.ir.axes.groups import Group, Groups, groups
from architrave.ir.axes.restrict import Chosen, left, part, restricted
from architrave.ir.graph import Graph
from architrave.ir.ops.leaves import path_of
from architrave.ir.source import error, nearest
from architrave.passes.base import Keeps, Pass, Prepare, Rewritten, option
from architrave.passes.journal import Declined, Journal


class Cut(Pass):
    """Dimensions keep their first units only: channels, heads, units of hidden layers, wherever they occur.

    The new network is the old one with the weights of all other units zero. Which units are first is for the weights:
    `architrave prune` chooses by importance instead. `architrave show --groups` lists the dimensions.
    """

    keeps = Keeps.LOSSY
    only: str = option("*", "names of dimensions, with * for any text: `layer1.*.conv1.weight:0`")
    keep: float = option(0.5, "the share of units that stay, at least one of each dimension")

    def apply(self, graph: Graph, journal: Journal) -> Rewritten:
        """Raises E920 where no such dimension can be cut, E921 for a share that is none."""
        if not 0 < self.keep <= 1:
            raise error("E921", f"`cut` keeps a share of more than 0 and up to 1, not {self.keep}")
        found = groups(graph)
        named = [group for group in found if fnmatchcase(group.name, self.only)]
        if not named:
            raise error("E920", f"no dimension is called `{self.only}`", hint=nearest(self.only, found.by_name))
        for group in named:
            self._record(group, journal)
        chosen = {g: np.arange(max(1, round(g.size * self.keep))) for g in named if g.whole is None}
        if not chosen:
            raise error("E920", f"none of the dimensions `{self.only}` can be cut", hint=named[0].whole)
        return cut(found, chosen)

    def _record(self, group: Group, journal: Journal) -> None:
        node = group.members[0].weight.node
        if group.whole is None:
            journal.changed("cut", node)
        else:
            journal.refused("cut", Declined(f"`{group.name}`: {group.whole}", node))


def cut(found: Groups, chosen: Chosen, *, repeated: bool = False) -> Rewritten:
    """The network with only the chosen units of some groups, and how its weights come from the old ones.

    With `repeated` a unit may be chosen several times. Raises E920 to E922 as `restricted` does.
    """
    after = restricted(found, chosen, repeated=repeated)
    kept = tuple(part(weight, rest) for weight, rest in left(found, chosen).items())
    prepare = Graph(f"{found.graph.name}_prepare", (), kept, weights=found.graph.weights)
    return Rewritten(after, Prepare(prepare, tuple(map(path_of, after.weights))))
