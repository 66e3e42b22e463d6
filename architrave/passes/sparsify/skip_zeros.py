"""Products of activations that are often 0, which skip what these zeros would multiply."""

from __future__ import annotations

from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.ops.activation import Relu
from architrave.ir.ops.active import KeepTopk
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.leaves import Full
from architrave.ir.ops.logic import Where
from architrave.passes.base import Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select


class SkipZeros(Pass):
    """Fully connected layers of a relu, or of what `scap` or `topk-activations` made 0, skip zeros while they run.

    Their weights are stored with a row for each input, so that what is not 0 names rows (`hoist` turns them). NumPy
    reads these alone where one token runs and few are left; the other backends take the whole product as before.
    """

    only: Select = option(Select(), "which layers: names of places, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Layers whose weight is no weight of the network stay as they are."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        return rewrite(graph, [skip_zeros], journal, self.only)


def skip_zeros(node: Node, walk: Walk) -> Change:
    """The product with the transposed weight, whose rows belong to inputs."""
    if not isinstance(node.op, Linear) or not has_zeros(node.operands[0]):
        return None
    x, weight, *bias = node.operands
    if weight not in walk.static:
        return Declined("its weight is computed from the input", node)
    product: Value = build.active_rows(x, build.transpose(weight, [1, 0]))
    return product + bias[0] if bias else product


def has_zeros(value: Value) -> bool:
    """Whether an activation is 0 in places, by the operator that made it."""
    match value.op, [v.op for v in value.node.operands]:
        case Relu() | KeepTopk(), _:
            return True
        case Where(), [_, Full(value=0), _] | [_, _, Full(value=0)]:
            return True
        case _:
            return False
