"""Weights that loops and branches contract: they are rounded before, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import subgraphs
from architrave.ir.ops.control import Control
from architrave.passes.quantize.rounding.rounded import CONTRACTIONS, weight_axis

Use = tuple[Node, int]
"""A node, and which of its operands."""


def contracted(node: Node) -> Mapping[int, Use]:
    """The operands of a loop or a branch that nothing but contractions inside take, alike; and one that does."""
    if not isinstance(node.op, Control):
        return {}
    found = {i: list(_uses(node, i)) for i in range(len(node.operands))}
    return {i: uses[0] for i, uses in found.items() if _are_alike(uses)}


def _are_alike(uses: list[Use]) -> bool:
    """Whether what is used so is the weight of contractions, with its outputs along one axis."""
    contract = all(isinstance(node.op, CONTRACTIONS) and position < 2 for node, position in uses)
    return contract and len({(weight_axis(node.op), position) for node, position in uses}) == 1


def _uses(node: Node, position: int) -> Iterator[Use]:
    """What takes an operand in the end, in loops and branches at any depth; these where they give it as it is."""
    pending = [(node, position)]
    while pending:
        node, position = pending.pop()
        if not isinstance(node.op, Control):
            yield node, position
            continue
        for graph, entry in zip(subgraphs(node.op), node.op.entries(), strict=True):
            inside = {v for v, i in zip(graph.inputs, entry, strict=True) if i == position}
            if inside & {*graph.outputs}:
                yield node, position
            pending += _takers(graph, inside)


def _takers(graph: Graph, values: set[Value]) -> list[Use]:
    return [(node, i) for node in graph.nodes for i, v in enumerate(node.operands) if v in values]
