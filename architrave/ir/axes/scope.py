"""Running a graph on axes in place of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from architrave.ir.axes.axis import Axes
from architrave.ir.axes.relations import Relations, Scope, axes_of, is_vanishing
from architrave.ir.graph import Graph, Node
from architrave.ir.ops.leaves import Input, Param, State
from architrave.ir.place import Place


def scope(
    graph: Graph, given: Sequence[Axes], vanishing: Sequence[bool] | None = None, place: Place | None = None
) -> Scope:
    """The axes of everything in a graph, whose inputs have the axes `given`.

    `vanishing` says which of the inputs vanish. `place` is what reasons name, for nodes without one.
    """
    found = Scope(graph, dict(zip(graph.inputs, given, strict=True)))
    found.vanishing = {v for v, zero in zip(graph.inputs, vanishing or (), strict=False) if zero}
    for node in graph.nodes:
        _visit(found, node, place)
    return found


def _visit(found: Scope, node: Node, place: Place | None) -> None:
    if isinstance(node.op, Input):
        found.axes.setdefault(node.outputs[0], axes_of(node.outputs[0].type))
        return
    if isinstance(node.op, Param | State):
        found.axes[node.outputs[0]] = axes_of(node.outputs[0].type)
        found.vanishing.add(node.outputs[0])
        return
    relations = Relations(node, [v in found.vanishing for v in node.operands], place)
    results = node.op.relate(relations, *(found.axes[v] for v in node.operands))
    found.axes.update(zip(node.outputs, results, strict=True))
    if is_vanishing(node.op, relations):
        found.vanishing.update(node.outputs)
    if relations.inner:
        found.inner[node] = tuple(relations.inner)
