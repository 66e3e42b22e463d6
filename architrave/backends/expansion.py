"""A composite operator where it stands, as nodes that do the same one level down."""

from __future__ import annotations

from dataclasses import dataclass

from architrave.ir.expand import expansion
from architrave.ir.graph import Node, Value, make


@dataclass(frozen=True)
class Expanded:
    """The nodes, in order, and the values that take the place of the outputs."""

    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]


def expanded(node: Node) -> Expanded:
    """What `node` is made of, at its line and place and under its names."""
    graph = expansion(node.op, tuple(v.type for v in node.operands))
    new: dict[Value, Value] = dict(zip(graph.inputs, node.operands, strict=True))
    nodes: list[Node] = []
    for part in graph.nodes:
        if part.outputs[0] in new:
            continue
        copy = make(part.op, [new[v] for v in part.operands], node.marks)
        new.update(zip(part.outputs, copy.outputs, strict=True))
        if part.operands:
            nodes.append(copy)
    outputs = tuple(new[v] for v in graph.outputs)
    made = {v for n in nodes for v in n.outputs}
    for before, after in zip(node.outputs, outputs, strict=True):
        if before.hint is not None and after in made:
            after.named(before.hint)
    return Expanded(tuple(nodes), outputs)
