"""Merging affine maps: in a row, side by side, and beside one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from architrave.ir.graph import Graph, Node, Value, apply
from architrave.ir.ops.arithmetic import Add, Subtract
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.join import Concat, Pad
from architrave.passes.base import Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.reparam.affine import Affine, Dense, Scale, Transposed, full, written
from architrave.passes.reparam.channels import channels_chosen, channels_permuted
from architrave.passes.reparam.compose import composed
from architrave.passes.reparam.cost import Cost, cost_before, cost_of, nominal
from architrave.passes.reparam.parallel import beside, summed
from architrave.passes.reparam.through import scale_downwards, scale_upwards
from architrave.passes.reparam.views import view
from architrave.passes.rewriter import Change, Rule, Walk, rewrite
from architrave.passes.select import Select

DEEPEST = 8
"""How many maps in a row one branch of a sum may be."""


class Reparam(Pass):
    """Affine maps that follow one another or are added become one, where that costs no more.

    Batch normalization goes into the convolution or linear layer beside it, branches become one kernel, low-rank
    updates part of their weight. The new weights are expressions over the old ones: `hoist` computes them.
    """

    for_inference = True
    only: Select = option(Select(), "where to merge: the nodes at which a row, a sum or a concatenation of maps ends")
    grow: bool = option(False, "whether to merge even where the result costs more")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Where the border of a padded convolution would change nothing is merged."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        return rewrite(graph, rules(self.grow), journal, self.only)


def rules(grow: bool = False) -> Sequence[Rule]:
    """The rules of the algebra. `grow` is whether they may make a network larger."""
    merging = _Merging(grow)
    merges = (merging.merge_row, merging.merge_sum, merging.merge_beside)
    return (zeros_into_window, *merges, scale_upwards, scale_downwards, channels_chosen, channels_permuted)


def zeros_into_window(node: Node, walk: Walk) -> Change:
    """Zeros that are put around before a convolution are part of its window."""
    if not isinstance(node.op, Conv) or not isinstance(pad := node.operands[0].op, Pad):
        return None
    if pad.mode != "constant" or pad.value != 0 or pad.widths[:2] != ((0, 0), (0, 0)):
        return Declined("what is put around before the convolution is not zeros along its axes alone", node)
    own = node.op.padding or ((0, 0),) * (node.operands[0].rank - 2)
    padding = tuple((a + c, b + d) for (a, b), (c, d) in zip(pad.widths[2:], own, strict=True))
    if any(isinstance(width, int) and width < 0 for pair in padding for width in pair):
        return None
    op = Conv(node.op.stride, padding, node.op.dilation, node.op.groups)
    return apply(op, node.operands[0].node.operands[0], *node.operands[1:])


@dataclass(frozen=True)
class _Merging:
    """The rules that merge two maps. `grow` is whether they may where the result costs more."""

    grow: bool

    def merge_row(self, node: Node, walk: Walk) -> Change:
        """A map of what another map gives."""
        outer = view(node.outputs[0], walk.static)
        inner = None if outer is None else view(outer.x, walk.static)
        if outer is None or inner is None:
            return None
        shared = walk.uses(outer.x) > 1
        if shared and not (isinstance(inner, Scale) and isinstance(outer, Dense | Transposed)):
            return Declined(f"`{outer.x.op.name}` before it has another user", node)
        merged = composed(outer, inner)
        if isinstance(merged, str):
            return Declined(merged, node)
        before = cost_before(outer, node, walk.static)
        before = before.plus(Cost(nodes=1) if shared else cost_before(inner, outer.x.node, walk.static))
        return self._if_cheaper(merged, before, node, walk)

    def merge_sum(self, node: Node, walk: Walk) -> Change:
        """A sum of two maps of one tensor."""
        if not isinstance(node.op, Add | Subtract) or any(v.type != node.outputs[0].type for v in node.operands):
            return None
        a, b = node.operands
        if a in walk.static or b in walk.static or not a.dtype.is_float:
            return None
        again = 2 if a is b else 1
        pairs = [(p, q) for p in _branch(a, walk, again) for q in _branch(b, walk, again) if p.map.x is q.map.x]
        reason: str | None = None
        for left, right in reversed(pairs):
            other = right.map if isinstance(node.op, Add) else _negated(right.map, b)
            merged = other if isinstance(other, str) else summed(left.map, other)
            if isinstance(merged, str):
                reason = merged
                continue
            joined = Cost(nodes=1, work=nominal(node.outputs[0].type.size))
            before = joined.plus(left.cost).plus(right.cost if a is not b else Cost())
            found = self._if_cheaper(merged, before, node, walk)
            if isinstance(found, Value):
                return found
            reason = found.reason if found is not None else reason
        return None if reason is None else Declined(reason, node)

    def merge_beside(self, node: Node, walk: Walk) -> Change:
        """Maps of one tensor whose channels are put beside one another."""
        if not isinstance(node.op, Concat) or any(walk.uses(v) > 1 for v in node.operands):
            return None
        maps = [view(v, walk.static) for v in node.operands]
        dense = [m for m in maps if isinstance(m, Dense) and m.axis == node.op.axis % node.outputs[0].rank]
        if len(dense) < len(maps) or len(maps) < 2 or any(m.x is not dense[0].x for m in dense):
            return None
        merged: Dense | str = dense[0]
        before = Cost()
        for each, value in zip(dense, node.operands, strict=True):
            before = before.plus(cost_before(each, value.node, walk.static))
            merged = merged if isinstance(merged, str) or each is dense[0] else beside(merged, each)
        if isinstance(merged, str):
            return Declined(merged, node)
        return self._if_cheaper(merged, before, node, walk)

    def _if_cheaper(self, merged: Affine, before: Cost, node: Node, walk: Walk) -> Value | Declined | None:
        after = cost_of(merged, walk.static)
        if not before.saves_nodes(after):
            return None
        problem = None if self.grow else before.problem(after)
        return written(merged) if problem is None else Declined(problem, node)


def _negated(affine: Affine, like: Value) -> Affine | str:
    return composed(Scale(like, None, full(-1.0, (), like)), affine)


@dataclass(frozen=True)
class _Branch:
    """One side of a sum as a map of something further up, and what it costs now."""

    map: Affine
    cost: Cost


def _branch(value: Value, walk: Walk, uses: int) -> Iterator[_Branch]:
    """The value as a map: of itself, of what its node is applied to, and so on up, as long as nothing else uses it."""
    current: Affine = Scale(value, None)
    cost = Cost()
    for _ in range(DEEPEST):
        yield _Branch(current, cost)
        inner = view(current.x, walk.static) if walk.uses(current.x) <= uses else None
        merged = None if inner is None else composed(current, inner)
        if inner is None or merged is None or isinstance(merged, str):
            return
        cost = cost.plus(cost_before(inner, current.x.node, walk.static))
        current, uses = merged, 1
