"""Activations of which each token keeps the largest, and products that read the rows of those alone.

Li and others, "The Lazy Neuron Phenomenon: On Emergence of Activation Sparsity in Transformers" (2023).
"""

from __future__ import annotations

from architrave.ir import build
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import rebuild_nested, remade
from architrave.ir.op import Op
from architrave.ir.ops.activation import Relu
from architrave.ir.ops.active import KeepTopk
from architrave.ir.ops.contraction import Linear
from architrave.ir.place import marked
from architrave.ir.source import error
from architrave.passes.base import Keeps, Pass, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.rewriter import Change, Walk, rewrite
from architrave.passes.select import Select


class TopkActivations(Pass):
    """A relu behind a fully connected layer keeps the k largest numbers of each token; the others become 0.

    Gradients flow to what is kept, unchanged. `gather-rows` then has the next layer read k rows of its weight. Li and
    others, "The Lazy Neuron Phenomenon" (2023), section 4.
    """

    keeps = Keeps.LOSSY
    k: int = option(64, "how many units each token keeps")
    only: Select = option(Select(), "which relus: names of places, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """A layer with k units or less stays as it is. Raises E803 for a k below 1."""
        if self.k < 1:
            raise error("E803", f"`topk-activations{{k}}` is a number above 0, not {self.k}")
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)

        def offered(node: Node, op: Op, operands: tuple[Value, ...]) -> tuple[Value] | None:
            if not isinstance(op, Relu) or not isinstance(operands[0].op, Linear) or not self._may_touch(node):
                return None
            width = node.types[0].shape[-1]
            if isinstance(width, int) and width <= self.k:
                journal.refused("topk-activations", Declined(f"it has {width} units, no more than are kept", node))
                return None
            journal.changed("topk-activations", node)
            with marked(place=node.place, span=node.span):
                return (build.keep_topk(*remade(node, op, operands), k=self.k),)

        return rebuild_nested(graph, offered)

    def _may_touch(self, node: Node) -> bool:
        return self.only.matches(node) and all(fact.name != "keep" for fact in node.facts)


class GatherRows(Pass):
    """A fully connected layer of units of which k are kept reads the k columns of its weight that they multiply.

    It takes k multiply-adds for each output in the place of one for each unit, and memory for what it reads: k numbers
    for each output and token. That pays where tokens are few, as when text is generated.
    """

    only: Select = option(Select(), "which layers: names of places, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Layers whose operand is `keep_topk` along its last axis, as `topk-activations` leaves them."""
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        return rewrite(graph, [gather_rows], journal, self.only)


def gather_rows(node: Node, walk: Walk) -> Change:
    """The sum of the columns of the weight that belong to the units that are kept, each times its unit."""
    if not isinstance(node.op, Linear) or not isinstance(node.operands[0].op, KeepTopk):
        return None
    x, weight, *bias = node.operands
    op = node.operands[0].op
    if op.axis not in (-1, x.rank - 1):
        return Declined("what is kept are the largest along another axis", node)
    values, places = build.topk(x.node.operands[0], k=op.k)
    rows = build.take(build.transpose(weight, [1, 0]), places, axis=0)
    product: Value = build.einsum(values, rows, equation="...k,...ko->...o")
    return product + bias[0] if bias else product
