"""Taking out of loops what every turn of them computes alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress

from architrave.ir.enclose import placeholder
from architrave.ir.graph import Graph, Node, Value, make
from architrave.ir.nested import rebuild_nested
from architrave.ir.op import Op
from architrave.ir.ops.control import Scan
from architrave.ir.ops.leaves import Input
from architrave.ir.rewrite import kept, rebuild
from architrave.passes.base import Pass
from architrave.passes.journal import Journal


class Invariant(Pass):
    """What a loop computes from what is the same in every turn is computed once, before the loop."""

    def apply(self, graph: Graph, journal: Journal) -> Graph:
        """Loops inside loops first, so that what is the same in the turns of both leaves both."""

        def before_the_loop(node: Node, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            return _lifted(node, op, operands, journal) if isinstance(op, Scan) else None

        return rebuild_nested(graph, before_the_loop)


def _lifted(node: Node, op: Scan, operands: tuple[Value, ...], journal: Journal) -> Sequence[Value] | None:
    """The outputs of a loop that is given what is the same in every turn; None where nothing is."""
    body, own = op.body, op.carries + (op.sequences or 1)
    outside = dict(zip(body.inputs[own:], operands[op.carries + op.sequences :], strict=True))
    same: set[Node] = set()
    for inner in body.nodes:
        if isinstance(inner.op, Input) or any(v not in outside for v in inner.operands):
            continue
        same.add(inner)
        outside.update(zip(inner.outputs, kept(inner, tuple(outside[v] for v in inner.operands)), strict=True))
    used = dict.fromkeys(v for n in body.nodes if n not in same for v in n.operands) | dict.fromkeys(body.outputs)
    # Constants are as good inside.
    inside = {v: placeholder(v.hint or "same", v.type) for v in used if v.node in same and v.node.operands}
    if not inside:
        return None
    for value in inside:
        journal.changed("before-the-loop", value.node)

    def given(inner: Node, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        return [inside.get(v, v) for v in inner.outputs] if inner in same else None

    smaller = rebuild(body, given, inputs=(*body.inputs, *inside.values()))
    loop = make(*_without_idle(replace(op, body=smaller), (*operands, *(outside[v] for v in inside))), node.marks)
    loop.hints.update(node.hints)
    return loop.outputs


def _without_idle(op: Scan, operands: tuple[Value, ...]) -> tuple[Scan, tuple[Value, ...]]:
    """The loop and its operands, without what it is given and does not use."""
    first, own = op.carries + op.sequences, op.carries + (op.sequences or 1)
    used = {v for node in op.body.nodes for v in node.operands} | set(op.body.outputs)
    left = [v in used for v in op.body.inputs[own:]]
    inputs = (*op.body.inputs[:own], *compress(op.body.inputs[own:], left))
    return replace(op, body=replace(op.body, inputs=inputs)), (*operands[:first], *compress(operands[first:], left))
