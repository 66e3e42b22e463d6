"""Leaving out residual branches and whole blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from architrave.ir.graph import Graph, Value
from architrave.ir.rewrite import kept
from architrave.ir.source import error
from architrave.passes.base import Keeps, Pass, option
from architrave.passes.journal import Journal
from architrave.passes.select import Select
from architrave.passes.structure.sublayers import Sublayer, blocks, branches, lost_with


class Drop(Pass):
    """Residual branches and blocks are left out, with the weights that they alone read.

    The network is then what it is with those branches multiplied by 0. He and others, "What Matters in Transformers?
    Not All Attention is Needed" (2024), say which to take: `architrave.prune.depth`.
    """

    keeps = Keeps.LOSSY
    branches: Select = option(Select(), "residual branches, each chosen by any node in it: `op:attention&layer.3.*`")
    blocks: Select = option(Select(), "whole blocks, each chosen by its place: `layer.3`")

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Raises E940 where nothing is chosen. Outputs and states that a part alone computes go with it."""
        chosen: list[Sublayer] = []
        if self.branches.alternatives:
            chosen += [b for b in branches(graph) if any(map(self.branches.matches, b.nodes))]
        if self.blocks.alternatives:
            chosen += [b for b in blocks(graph) if all(map(self.blocks.matches, b.nodes))]
        for select in (self.branches, self.blocks):
            if (warning := select.warning(graph)) is not None:
                journal.warn(warning)
        if not chosen:
            names = ", ".join(dict.fromkeys(b.name for b in (*branches(graph), *blocks(graph))))
            raise error("E940", f"none of the parts of `{graph.name}` is chosen", hint=f"it has {names or 'none'}")
        for part in chosen:
            journal.changed(f"drop-{part.kind}", part.after.node)
        return dropped(graph, chosen)


def dropped(graph: Graph, parts: Iterable[Sublayer]) -> Graph:
    """The graph without some of its parts, as `branches` and `blocks` give them, and without what they alone need.

    Weights and inputs that nothing reads any more are left out; so are outputs and new states that come from the inside
    of a part, such as its place in a cache of keys and values.
    """
    parts = list(parts)
    lost = {value for part in parts for value in lost_with(graph, part)}
    instead = {part.after: part.before for part in parts}
    new: dict[Value, Value] = {}
    for node in graph.nodes:
        new.update(zip(node.outputs, kept(node, tuple(new[v] for v in node.operands)), strict=True))
        new.update({v: new[instead[v]] for v in node.outputs if v in instead})
    after = replace(
        graph,
        inputs=(),
        outputs=tuple(new[v] for v in graph.outputs if v not in lost),
        updates=tuple((new[state], new[v]) for state, v in graph.updates if v not in lost),
        weights=(),
    )
    read = {v for node in after.nodes for v in node.operands} | set(after.roots)
    idle = set(graph.nodes) - {v.node for node in graph.nodes for v in node.operands} - {v.node for v in graph.outputs}
    return replace(
        after,
        inputs=tuple(new[v] for v in graph.inputs if new[v] in read or v.node in idle),
        weights=tuple(new[v] for v in graph.weights if new[v] in read or v.node in idle),
    )
