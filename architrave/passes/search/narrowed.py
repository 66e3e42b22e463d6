"""Spaces with fewer alternatives."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from architrave.ir.choice import choices
from architrave.ir.graph import Graph, Node, Value
from architrave.ir.nested import rebuild_nested, remade
from architrave.ir.op import Op
from architrave.ir.ops.control import Choice
from architrave.ir.rewrite import inline
from architrave.ir.source import error, nearest
from architrave.passes.search.opening import with_read_weights


def narrowed(graph: Graph, dropped: Mapping[str, Collection[str]]) -> Graph:
    """A graph that keeps its choices, without the labels that are dropped of some; a choice of one label is taken.

    Weights that nothing reads then are left out. Raises E952 for labels that there are not, and for the last of one.
    """
    known = choices(graph)
    for path, labels in dropped.items():
        strange = next((label for label in labels if label not in known.get(path, ())), None)
        if path not in known or strange is not None:
            hint = nearest(path, known) if path not in known else nearest(str(strange), known[path])
            raise error("E952", f"`{graph.name}` has no decision `{path}` with the label `{strange}`", hint=hint)
        if set(labels) >= set(known[path]):
            raise error("E952", f"of the labels of `{path}` one must stay: {', '.join(known[path])}")

    def left(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if not isinstance(op, Choice) or not dropped.get(op.path):
            return None
        pairs = zip(op.labels, op.alternatives, strict=True)
        kept = {label: inner for label, inner in pairs if label not in dropped[op.path]}
        if len(kept) == 1:
            (only,) = kept.values()
            return inline(only, operands, node.place)
        fewer = replace(op, labels=(*kept,), alternatives=(*kept.values(),))
        return remade(node, fewer, operands)

    return with_read_weights(rebuild_nested(graph, left))
