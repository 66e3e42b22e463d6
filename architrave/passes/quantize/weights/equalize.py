"""Weights whose channels have like ranges, so that one scale serves all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from architrave.ir import build
from architrave.ir.graph import Graph, Value, apply
from architrave.ir.ops.contraction import Linear
from architrave.ir.ops.conv import Conv
from architrave.ir.ops.leaves import path_of
from architrave.ir.ops.shape import Reshape
from architrave.ir.source import error
from architrave.passes.base import Pass, Prepare, Rewritten, option
from architrave.passes.journal import Declined, Journal
from architrave.passes.quantize.weights.links import Link, Part, links
from architrave.passes.select import Select


class Equalize(Pass):
    """Channels between two weights are scaled so that both have the same range in each (cross-layer equalization).

    The network computes the same. A channel with range `a` in the weights that make it and `b` in those that read it
    has `sqrt(a * b)` in both. It goes through ReLU, pooling, sums and what moves elements; batch norms are to be folded
    before (`deploy`). Nagel, van Baalen, Blankevoort and Welling, "Data-Free Quantization Through Weight Equalization
    and Bias Correction" (2019).
    """

    for_inference = True
    rounds: int = option(3, "how often all channels are scaled in turn: neighbours change each other")
    only: Select = option(Select(), "which layers that read channels: names of places, operators, annotations")

    def apply(self, graph: Graph, journal: Journal) -> Graph | Rewritten:
        """The same graph, over other weights."""
        if self.rounds < 1:
            raise error("E803", f"`equalize{{rounds}}` takes a number above 0, not {self.rounds}")
        if (warning := self.only.warning(graph)) is not None:
            journal.warn(warning)
        found: list[Link] = []
        for link in links(graph):
            if isinstance(link, Declined):
                journal.refused("equalize", link)
            elif not all(isinstance(node.op, Linear | Conv) for node in link.writers):
                journal.refused("equalize", Declined("a norm makes its channels", link.readers[0]))
            elif all(map(self.only.matches, link.readers)):
                found.append(link)
                journal.changed("equalize", link.readers[0])
        if not found:
            return graph
        current = {w: w for w in graph.weights}
        for _ in range(self.rounds):
            for link in found:
                current |= _equalized(link, current)
        prepare = Graph(f"{graph.name}_prepare", (), tuple(current.values()), weights=graph.weights)
        return Rewritten(graph, Prepare(prepare, tuple(map(path_of, graph.weights))))


def _equalized(link: Link, current: dict[Value, Value]) -> dict[Value, Value]:
    """The weights of a link with equal ranges."""
    made, read = _range(link.before, current), _range(link.after, current)
    # A channel that is always zero, or that nothing reads, has no range to share.
    both: Value = build.logical_and(made > 0.0, read > 0.0)
    factor: Value = build.where(both, build.sqrt(made / build.where(both, read, 1.0)), 1.0)
    found = {part.weight: current[part.weight] for part in (*link.before, *link.after)}
    # A weight may make channels and read them, too: around it lies a residual connection.
    for parts, each in ((link.before, 1.0 / factor), (link.after, factor)):
        found |= {part.weight: _times(found[part.weight], part, each) for part in parts}
    return found


def _range(parts: Sequence[Part], current: dict[Value, Value]) -> Value:
    """The largest number of each channel in some weights, without its sign."""
    found = [
        apply(Reshape((-1,)), build.max(build.abs(apply(Reshape(p.view), current[p.weight])), axes=p.others))
        for p in parts
        if not p.is_shift
    ]
    return reduce(build.maximum, found)


def _times(weight: Value, part: Part, factor: Value) -> Value:
    """A weight with each channel times its factor."""
    scaled = apply(Reshape(part.view), weight) * apply(Reshape(part.factors), factor)
    return apply(Reshape(weight.shape), scaled)
